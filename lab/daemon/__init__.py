"""Boots, supervises and ends a lab: everything that runs in one state folder."""

from lab.daemon.lifecycle import (
    ComponentState,
    DamagedError,
    PodState,
    Status,
    down,
    is_up,
    running,
    start,
    status,
    stop,
    up,
)
from lab.daemon.planning import plan

__all__ = [
    "ComponentState",
    "DamagedError",
    "PodState",
    "Status",
    "down",
    "is_up",
    "plan",
    "running",
    "start",
    "status",
    "stop",
    "up",
]
