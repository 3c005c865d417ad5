"""One objective's verdict with one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from muster.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one objective."""

    objective: str
    verdict: Verdict
    message: str
    measured: float | None = None  # seconds, or a ratio for user_errors_below
    limit: float | None = None
