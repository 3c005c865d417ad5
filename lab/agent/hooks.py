"""preStop hooks: what a container asks for before its SIGTERM."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from lab.agent.probes import probe

if TYPE_CHECKING:
    from lab.agent.container import Container


async def before_stop(container: Container, grace_s: float) -> float:
    """Run the hook (exec, httpGet, sleep) within the grace period; returns how many seconds it took, 0 without one."""
    hook = (container.spec.get("lifecycle") or {}).get("preStop")
    process = container.process
    if not hook or process is None:
        return 0.0
    began = time.monotonic()
    failure: str | None = None
    if "sleep" in hook:
        try:
            async with asyncio.timeout(min(float(hook["sleep"]["seconds"]), grace_s)):
                await process.wait()
        except TimeoutError:
            failure = None
    else:
        spec = {**hook, "timeoutSeconds": max(grace_s, 1.0)}
        folder, group = container.folder / "work", process.group
        failure = await probe(spec, container.spec, container.facts.ip, container.env, folder, group=group)
    if failure is not None:
        container.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}")
    return time.monotonic() - began
