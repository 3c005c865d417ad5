"""Waiting for conditions: bounded, and when time runs out the error says what was still missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lab.errors import LabError

Condition = Callable[[], Awaitable[str]]
"""Returns "" when it holds, otherwise what is missing, in words."""

_PAUSE_S = 0.05


async def until(condition: Condition, what: str, timeout_s: float) -> None:
    """Return once the condition holds. Raises :class:`LabError` that names ``what`` and its last state."""
    missing = "not looked at yet"
    try:
        async with asyncio.timeout(timeout_s):
            while missing := await condition():  # noqa: ASYNC110 - it is asked of another process
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise LabError(f"{what} was not ready within {timeout_s:.0f} s: {missing}") from None


async def at_once() -> str:
    """The condition of a program that needs no time."""
    return ""
