"""One second of users as the load generator tells it, for timelines that tests make."""

from __future__ import annotations


def second(requests=500, errors=0, p95_ms=12.0, **more):
    """All that was due was sent, and answered; ``more`` says otherwise."""
    found = {
        "requests": requests, "errors": errors, "p95_ms": p95_ms, "service_p95_ms": 10.0,
        "offered": requests, "sent": requests, "late": 0, "dropped": 0, "held": 0, "held_dropped": 0, "waiting": 0,
        "users": 50, "cpu": 0.2, "machine": 0.5, "lag_ms": 2.0, "stalled_ms": 0.0, "exhausted": 0,
        "workers": 1, "reports": 1,
    }  # fmt: skip
    return found | more


# What a recording says of a system that promises a P95 of 100 ms, and is ill over 200 ms or 5% of errors.
LIMITS = {"users_well": {"p95_s": 0.2, "error_ratio": 0.05}, "promised_p95_s": 0.1}
