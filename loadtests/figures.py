"""One JSON line for each second of load: what users asked, what failed, how long it took.

``{"at": epoch of the second's start, "requests": n, "errors": n, "p95_ms": x or null, "users": n}``. Percentiles are
exact (nearest rank over that second's requests), because Locust's own are rounded to two digits.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment


class Figures:
    """Listens to every request of a Locust environment and writes a line when a second is over."""

    def __init__(self, environment: Environment, path: Path) -> None:
        self._environment, self._path = environment, path
        self._times_ms: list[float] = []
        self._errors = 0
        self._parent = os.getppid()
        environment.events.request.add_listener(self._request)
        self._writer = gevent.spawn(self._write)

    def _request(self, response_time: float, exception: Exception | None, **_: Any) -> None:
        self._times_ms.append(response_time)
        self._errors += exception is not None

    def _write(self) -> None:
        with self._path.open("a", encoding="utf-8", buffering=1) as file:
            second = math.floor(time.time())
            while True:
                gevent.sleep(max(0.0, second + 1 - time.time()))
                times_ms, errors = sorted(self._times_ms), self._errors
                self._times_ms, self._errors = [], 0
                file.write(json.dumps(self._line(second, times_ms, errors)) + "\n")
                if os.getppid() != self._parent:  # whoever asked for the load is gone: nobody would ever stop it
                    self._environment.process_exit_code = 1
                    self._environment.runner.quit()
                    return
                second = math.floor(time.time())

    def _line(self, second: int, times_ms: list[float], errors: int) -> dict[str, Any]:
        runner = self._environment.runner
        return {
            "at": second,
            "requests": len(times_ms),
            "errors": errors,
            "p95_ms": round(times_ms[math.ceil(0.95 * len(times_ms)) - 1], 3) if times_ms else None,
            "users": runner.user_count if runner else 0,
        }
