"""Secrets never reach a snapshot: values under telling keys are replaced before anything is kept."""

from __future__ import annotations

import re
from typing import Any

REDACTED = "[redacted]"
_TELLING = re.compile(
    r"passw|secret|token|credential|authorization|api[_-]?key|private[_-]?key|routing[_-]?key", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def redacted(value: Any, key: str = "") -> Any:
    """The same JSON with secrets replaced: values whose key names a secret, and user:password in URLs."""
    if isinstance(value, dict):
        return {name: redacted(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, key) for item in value]
    if isinstance(value, str):
        return REDACTED if value and _TELLING.search(key) else _USERINFO.sub(f"{REDACTED}@", value)
    return value
