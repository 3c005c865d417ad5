"""What one process measured, second by second: exact histograms for each endpoint, and the generator's own health.

A *part* is one process's second, as JSON: ``{"at": epoch of its start, "offered", "sent", "late", "dropped", "held",
"held_dropped", "waiting", "users", "cpu": share of one core, "machine": of all its cores, busy with whatever,
"lag_ms": longest stall of the event loop, "stalled_ms": all stalls over 50 ms, "exhausted", "endpoints": {name:
{"requests", "errors", "kinds": {sentence: n}, "latency", "service"}}}``. "users" may ask at once; there may be more who
rest. Latency counts from when a request was due, service time from when it was sent; both are HDR histograms
of microseconds in HdrHistogram's own compressed base64 (V2), so parts of several processes merge without loss.

Each thing is counted in the second in which it happens: "offered" when a request falls due (is looked at, being due),
"sent" when a user has it, "dropped" when it is given up; "requests", "errors" and both histograms when its answer is
complete, however long ago it was due. So "offered" of a second is not what became of its own requests.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil
from dispatcher import Count
from gevent import get_hub
from histograms import Buckets
from lean.errors import GeneratorExhausted
from lean.user import Outcome

STALL_S = 0.05
MOST_KINDS = 20  # of errors that are told apart in one second
_PULSE_S = 0.02


@dataclass(slots=True)
class Tally:
    """One endpoint in one second."""

    requests: int = 0
    errors: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    latency: Buckets = field(default_factory=Buckets)
    service: Buckets = field(default_factory=Buckets)

    def part(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "kinds": self.kinds,
            "latency": self.latency.histogram().encode().decode(),
            "service": self.service.histogram().encode().decode(),
        }


class Recorder:
    """Counts what users report; :meth:`turn` closes a second."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._tallies = [Tally() for _ in names]
        self._exhausted = 0
        self._before = Count()
        self._pulse = Pulse()
        self._cpu_s, self._wall_s = time.process_time(), time.perf_counter()
        psutil.cpu_percent()  # counts from here

    def record(self, kind: int, due: float, outcome: Outcome) -> None:
        """One request that was sent."""
        tally = self._tallies[kind]
        service_s = outcome.service_s
        tally.requests += 1
        tally.latency.record(int((outcome.started - due + service_s) * 1e6))
        tally.service.record(int(service_s * 1e6))
        if outcome.error is not None:
            self._error(tally, outcome.error)

    def _error(self, tally: Tally, error: Exception) -> None:
        tally.errors += 1
        self._exhausted += isinstance(error, GeneratorExhausted)
        kind = f"{type(error).__name__}: {error}"
        if kind in tally.kinds or len(tally.kinds) < MOST_KINDS:
            tally.kinds[kind] = tally.kinds.get(kind, 0) + 1

    def turn(self, at: int, count: Count, *, users: int, waiting: int) -> dict[str, Any]:
        """The part that ends now; ``count`` is that of the schedule so far."""
        tallies, self._tallies = self._tallies, [Tally() for _ in self._names]
        exhausted, self._exhausted = self._exhausted, 0
        now, before = asdict(count), asdict(self._before)
        self._before = Count(**now)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        share = (cpu_s - self._cpu_s) / max(1e-6, wall_s - self._wall_s)
        self._cpu_s, self._wall_s = cpu_s, wall_s
        lag_s, stalled_s = self._pulse.turn()
        return {
            "at": at,
            **{key: now[key] - before[key] for key in now},
            "waiting": waiting,
            "users": users,
            "cpu": round(share, 4),
            "machine": round(psutil.cpu_percent() / 100, 4),
            "lag_ms": round(lag_s * 1000, 3),
            "stalled_ms": round(stalled_s * 1000, 3),
            "exhausted": exhausted,
            "endpoints": {name: tally.part() for name, tally in zip(self._names, tallies, strict=True)},
        }


class Pulse:
    """Beats 50 times a second in the event loop; a beat that comes late says how long nothing else could happen."""

    def __init__(self) -> None:
        self._longest_s = self._stalled_s = 0.0
        self._expected = time.perf_counter() + _PULSE_S
        self._timer = get_hub().loop.timer(_PULSE_S, _PULSE_S, ref=False)
        self._timer.start(self._beat, update=True)

    def _beat(self) -> None:
        now = time.perf_counter()
        late_s = now - self._expected
        self._expected = now + _PULSE_S
        self._longest_s = max(self._longest_s, late_s)
        if late_s > STALL_S:
            self._stalled_s += late_s

    def turn(self) -> tuple[float, float]:
        """The longest stall and the sum of those over 50 ms since the last call, in seconds."""
        found = self._longest_s, self._stalled_s
        self._longest_s = self._stalled_s = 0.0
        return found
