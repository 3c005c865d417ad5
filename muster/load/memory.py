"""Memory of the system while it is under load, read every few seconds in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Self

from muster.read import prometheus
from muster.read.failures import ReadError
from muster.read.session import Session
from muster.system import Environment, System
from muster.system.promql import fill

EVERY_S = 5.0


class Memory:
    """``samples``: (epoch seconds, bytes of the largest replica). Empty where it is not wanted or cannot be read."""

    def __init__(self, system: System, env: Environment, *, wanted: bool) -> None:
        self.samples: list[tuple[float, float]] = []
        self._system, self._env = system, env
        self._slo = system.slo.get("memory") if wanted and env.prometheus else None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        if self._slo is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(EVERY_S)

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                value = asyncio.run(self._once())
            except (ReadError, OSError):  # a sample less; too few of them are UNKNOWN
                value = None
            if value is not None:
                self.samples.append((time.time(), value))
            self._over.wait(EVERY_S)

    async def _once(self) -> float | None:
        assert self._slo is not None  # noqa: S101 - the thread runs only then
        async with Session(self._system, self._env, {}) as session:
            found = await prometheus.query(session, fill(self._slo.query, self._env, self._slo.window))
            return found[0][1] if found else None
