"""What a notice for people is about, read from its text: Alertmanager's own templates name the alert in it."""

from __future__ import annotations

import re

_LABEL = re.compile(r"\balertname\s*[=:]\s*\"?([A-Za-z_]\w*)")
_HEADING = re.compile(r"\[(?:FIRING|RESOLVED)(?::\d+)?\]\s+\(?([A-Za-z_]\w*)")


def alert(*texts: str) -> str:
    """The name of the alert, from the label if any text shows it, else from a heading; "" when none does."""
    found = (pattern.search(text) for pattern in (_LABEL, _HEADING) for text in texts)
    return next((match[1] for match in found if match), "")


def action(*texts: str) -> str:
    """``resolve`` when a heading says so, otherwise ``trigger``."""
    return "resolve" if any("[RESOLVED" in text for text in texts) else "trigger"
