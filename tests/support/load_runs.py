"""Load runs as a generator records them, of seconds that are said in a few words."""

from __future__ import annotations

from functools import cache

from hdrh.histogram import HdrHistogram

from muster.judge.seconds import Endpoint, LoadRun, LoadSecond, Step

BEGAN = 1_000_000


@cache
def encoded(latency_ms, count):
    found = HdrHistogram(1, 120_000_000, 3)
    found.record_value(int(latency_ms * 1000), count)
    return found.encode().decode()


def second(at, rate=6800, *, latency_ms=3.0, errors=0, kind="UnexpectedStatus: 500", answered=None, **more):
    answered = rate if answered is None else answered
    text = encoded(latency_ms, max(answered, 0)) if answered else encoded(1.0, 0)
    kinds = {kind: errors} if errors else {}
    told = Endpoint(requests=answered, errors=errors, kinds=kinds, latency=text, service=encoded(1.0, answered))
    base = {
        "offered": rate, "sent": rate, "late": 0, "dropped": 0, "held": 0, "held_dropped": 0, "users": 60,
        "cpu": 0.4, "lag_ms": 5.0, "stalled_ms": 0.0, "exhausted": 0, "workers": 1, "reports": 1,
        "requests": answered, "errors": errors, "p50_ms": 1.0, "p95_ms": latency_ms, "p99_ms": latency_ms,
        "service_p95_ms": 1.0,
    }  # fmt: skip
    return LoadSecond(at=BEGAN + at, endpoints={"GET /a": told}, **{**base, **more})


def run(seconds, *, rate=6800.0, steps=None, warm_up_s=2.0, **more):
    steps = steps or [Step(duration_s=float(len(seconds)), first=rate, last=rate)]
    return LoadRun(steps=steps, warm_up_s=warm_up_s, most_users=1020, workers=1, seconds=seconds, **more)


def verdicts(judged):
    return {finding.check: finding.verdict for finding in judged.findings}
