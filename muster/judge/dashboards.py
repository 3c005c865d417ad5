"""Grafana: well, with the dashboards that the runbooks send people to, and something to see on every panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.undeclared import declared
from muster.system.model import Dashboard as Expected


@dataclass(frozen=True)
class Grafana:
    """What ``/api/health`` says."""

    status_code: int
    database: str
    version: str


@dataclass(frozen=True)
class Dashboards:
    """The dashboards of the facts by uid, None for one that Grafana has not; and everything it has, uid -> title."""

    expected: Mapping[str, Mapping[str, Any] | None]
    found: Mapping[str, str]


@dataclass(frozen=True)
class Panel:
    """One query of one panel: how many series it finds, or why that is not known."""

    dashboard: str
    title: str
    query: str
    series: int | None
    failure: str


def grafana(raw: Mapping[str, Any]) -> Grafana:
    """The typed view of the reading ``grafana_health``."""
    return Grafana(raw["status_code"], raw["database"], raw["version"])


def dashboards(raw: Mapping[str, Any]) -> Dashboards:
    """The typed view of the reading ``dashboards``."""
    return Dashboards(raw["expected"], raw["found"])


def panels(raw: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
    """The typed view of the reading ``panels``."""
    return tuple(
        Panel(
            dashboard=entry["dashboard"],
            title=entry["panel"],
            query=entry["query"],
            series=entry.get("series"),
            failure=entry["failure"]["message"] if "failure" in entry else "",
        )
        for entry in raw
    )


def assert_grafana_is_well(grafana: Grafana) -> None:
    """It answers 200, and its database is well."""
    well = grafana.status_code == 200 and grafana.database == "ok"
    claim(well, f"Grafana answers {grafana.status_code} and says that its database is {grafana.database or 'nothing'}")


def assert_dashboards_exist(dashboards: Dashboards, facts: Sequence[Expected]) -> None:
    """Each dashboard of the facts is there under its uid and title: that is where the runbooks' links lead."""
    declared(facts or None, "any dashboard")
    for fact in facts:
        if fact.uid not in dashboards.expected:
            raise Unknown(f"nobody asked Grafana for the dashboard {fact.uid}")
        found = dashboards.expected[fact.uid]
        others = ", ".join(sorted(dashboards.found.values())) or "none at all"
        claim(found is not None, f"Grafana has no dashboard {fact.title} (uid {fact.uid}); it has {others}")
        title = found["title"] if found else ""
        claim(title == fact.title, f"the dashboard {fact.uid} is called {title}, not {fact.title}")


def assert_every_panel_shows_something(panels: Sequence[Panel]) -> None:
    """Every query of every panel finds a series: an empty panel reads as "nothing wrong"."""
    for panel in panels:
        empty = f"panel {panel.title!r} of dashboard {panel.dashboard} shows nothing: no series for {panel.query}"
        claim(panel.series != 0, empty)
    for panel in panels:
        if panel.failure:
            raise Unknown(f"panel {panel.title!r} of dashboard {panel.dashboard}: {panel.failure}")
    if not panels:
        raise Unknown("no dashboard of the facts has a panel with a query, so nothing was looked at")
