"""What else a replica needs: TCP services named in its environment, looked at once a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection

from lab.service.settings import SettingsError

CHECK_EVERY_S = 1.0
CHECK_TIMEOUT_S = 0.5
_NOWHERE = ("127.0.0.1", 1)  # a reserved port: nobody listens there
log = logging.getLogger("dependency")


class Dependencies:
    """The state of each named dependency: ``unknown`` until first looked at, then ``ok`` or ``down``."""

    def __init__(self, targets: dict[str, tuple[str, int]], missing: Collection[str] = ()) -> None:
        """``missing``: names whose address leads nowhere.

        Raises:
            SettingsError: One of the missing is not a dependency.
        """
        for name in missing:
            if name not in targets:
                known = ", ".join(targets) or "none"
                raise SettingsError(f"FAULT_DEPENDENCY_DOWN: {name} is not one of DEPENDENCIES; known: {known}")
        self._targets = targets | dict.fromkeys(missing, _NOWHERE)
        self.states = dict.fromkeys(targets, "unknown")

    async def look(self) -> None:
        """Look at all of them once."""
        await asyncio.gather(*(self._look(name) for name in self._targets))

    async def watch(self) -> None:
        """Look again and again, until cancelled. Returns at once when there are none."""
        while self._targets:
            await asyncio.sleep(CHECK_EVERY_S)
            await self.look()

    async def _look(self, name: str) -> None:
        state = "down"
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                _, writer = await asyncio.open_connection(*self._targets[name])
            writer.close()
            state = "ok"
        if state != self.states[name]:
            level = logging.ERROR if state == "down" else logging.INFO
            log.log(level, "%s is %s (was %s)", name, state, self.states[name])
            self.states[name] = state
