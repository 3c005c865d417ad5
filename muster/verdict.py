"""Verdicts and findings: what a check says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The four outcomes of a check. UNKNOWN is first-class: no data is never a pass."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    WARN = "WARN"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @property
    def rank(self) -> int:
        """How bad it is, for :func:`worst`: FAIL outranks UNKNOWN outranks WARN outranks PASS."""
        return _RANK[self]


_RANK = {Verdict.PASS: 0, Verdict.WARN: 1, Verdict.UNKNOWN: 2, Verdict.FAIL: 3}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of the whole. Nothing judged at all is UNKNOWN, not PASS."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.UNKNOWN)


def exit_code(verdict: Verdict) -> int:
    """0 all held, 1 something failed, 6 nothing failed but something is unknown."""
    return {Verdict.PASS: 0, Verdict.WARN: 0, Verdict.FAIL: 1, Verdict.UNKNOWN: 6}[verdict]


class SLOWarning(UserWarning):
    """A check that holds, but over its warning level: pytest shows it and the check passes."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's verdict with one sentence: measured, limit, window, runbook line."""

    check: str
    verdict: Verdict
    message: str
    runbook: str = ""
    alert: str = ""
    severity: str = ""
    section: str = ""  # the runbook section's title: findings are grouped by it
    step: int = 0  # of that section; 0 when the check is of the whole
    next_step: str = ""  # what the runbook says to do about it
