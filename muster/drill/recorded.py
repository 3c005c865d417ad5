"""A drill as it was recorded, for those who write about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.drill.followup import only_follows
from muster.system import System
from muster.timeline import Event, Kind, Timeline


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A drill as recorded: its timeline, ``timeline.json`` of it, the facts, and what smoke warned of before."""

    timeline: Timeline
    body: Mapping[str, Any]
    system: System
    # findings of the baseline's summary.json whose verdict is WARN; None: no smoke run was taken before
    warnings: Sequence[Mapping[str, Any]] | None = ()

    @property
    def injected(self) -> Event | None:
        """The fault's injection."""
        return self.timeline.first(Kind.FAULT_INJECTED)

    def after(self, kind: Kind, **data: Any) -> Event | None:
        """The first such event since the fault."""
        return self.timeline.first(kind, after=self.injected.at, **data) if self.injected else None

    def said(self, objective: str) -> str:
        """The sentence of that objective; empty when it was not judged."""
        return next((str(row["message"]) for row in self.body["objectives"] if row["objective"] == objective), "")

    def missed(self, objective: str) -> str:
        """The same where it was not met, and the sentence is of its own."""
        rows = [row for row in self.body["objectives"] if row["objective"] == objective and row["verdict"] != "PASS"]
        return next((str(row["message"]) for row in rows if not only_follows(row)), "")
