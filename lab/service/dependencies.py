"""What else a replica needs: TCP services named in its environment, looked at once a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging

CHECK_EVERY_S = 1.0
CHECK_TIMEOUT_S = 0.5
log = logging.getLogger("dependency")


class Dependencies:
    """The state of each named dependency: ``unknown`` until first looked at, then ``ok`` or ``down``."""

    def __init__(self, targets: dict[str, tuple[str, int]]) -> None:
        self._targets = targets
        self.states = dict.fromkeys(targets, "unknown")

    async def watch(self) -> None:
        """Look at all of them, again and again, until cancelled. Returns at once when there are none."""
        while self._targets:
            await asyncio.gather(*(self._look(name) for name in self._targets))
            await asyncio.sleep(CHECK_EVERY_S)

    async def _look(self, name: str) -> None:
        state = "down"
        with contextlib.suppress(OSError, TimeoutError):
            _, writer = await asyncio.wait_for(asyncio.open_connection(*self._targets[name]), CHECK_TIMEOUT_S)
            writer.close()
            state = "ok"
        if state != self.states[name]:
            level = logging.ERROR if state == "down" else logging.INFO
            log.log(level, "%s is %s (was %s)", name, state, self.states[name])
            self.states[name] = state
