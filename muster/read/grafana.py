"""Readings of Grafana: whether it is well, and the dashboards that it serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from muster.read.failures import ReadError
from muster.read.http import parse_json
from muster.snapshot import FailureKind
from muster.system.promql import prom_duration

if TYPE_CHECKING:
    from muster.read.session import Session

RATE_SCRAPES = 4  # Grafana's own $__rate_interval


async def read_grafana_health(session: Session) -> dict[str, Any]:
    """``/api/health``: ``{"status_code", "database", "version"}``. A 503 is an answer, and is judged as one."""
    url = f"{_base(session)}/api/health"
    status, body = await session.http.get(url)
    said = parse_json(body, url)
    if not isinstance(said, dict) or not isinstance(said.get("database"), str):
        raise ReadError(FailureKind.UNPARSEABLE, f"{url} answered {status} and does not speak Grafana's API")
    return {"status_code": status, "database": said["database"], "version": str(said.get("version", ""))}


async def read_dashboards(session: Session) -> dict[str, Any]:
    """The dashboards of the facts: ``{"expected": {uid: None or {"title", "panels"}}, "found": {uid: title}}``.

    A panel is ``{"title", "queries": [PromQL]}``; Grafana's own variables in a query are filled in as Grafana would for
    the last hour, those of the dashboard with their current value. None: Grafana has no dashboard of that uid.
    """
    url = f"{_base(session)}/api/search"
    listed = await session.http.get_json(url, params={"type": "dash-db", "limit": "5000"})
    try:
        found = {entry["uid"]: entry["title"] for entry in listed}
    except (KeyError, TypeError) as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{url}: no list of dashboards ({error!r})") from None
    expected = {fact.uid: await _dashboard(session, fact.uid) for fact in session.system.dashboards}
    return {"expected": expected, "found": found}


async def _dashboard(session: Session, uid: str) -> dict[str, Any] | None:
    url = f"{_base(session)}/api/dashboards/uid/{uid}"
    status, body = await session.http.get(url)
    if status == 404:
        said = parse_json(body, url)
        if isinstance(said, dict) and "not found" in str(said.get("message", "")).lower():
            return None
        raise ReadError(FailureKind.HTTP_STATUS, f"{url} answered 404, not as Grafana does")
    if status != 200:
        kind = FailureKind.FORBIDDEN if status in {401, 403} else FailureKind.HTTP_STATUS
        raise ReadError(kind, f"{url} answered {status}")
    try:
        dashboard = parse_json(body, url)["dashboard"]
        values = _values(session, dashboard)
        return {
            "title": str(dashboard["title"]),
            "panels": [
                {"title": str(panel.get("title", "")), "queries": [_fill(query, values) for query in _queries(panel)]}
                for panel in _panels(dashboard)
            ],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{url}: no dashboard as Grafana gives it ({error!r})") from None


def _base(session: Session) -> str:
    return session.environment.grafana.rstrip("/")


def _panels(holder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard, those in rows too; a row itself shows nothing."""
    for panel in holder.get("panels") or []:
        if panel.get("type") == "row":
            yield from _panels(panel)
        else:
            yield panel


def _queries(panel: dict[str, Any]) -> list[str]:
    """The PromQL of a panel; queries to other kinds of sources, or hidden ones, have none."""
    return [target["expr"] for target in panel.get("targets") or [] if target.get("expr") and not target.get("hide")]


def _values(session: Session, dashboard: dict[str, Any]) -> dict[str, str]:
    scrape_s = session.environment.scaled(session.environment.scrape_interval_s)
    values = {
        "__rate_interval": prom_duration(RATE_SCRAPES * scrape_s),
        "__interval": prom_duration(scrape_s),
        "__range": prom_duration(session.environment.scaled(3600.0)),
    }
    for variable in (dashboard.get("templating") or {}).get("list") or []:
        current = (variable.get("current") or {}).get("value", "")
        chosen = "|".join(map(str, current)) if isinstance(current, list) else str(current)
        values[variable["name"]] = variable.get("allValue") or ".+" if chosen in {"$__all", ""} else chosen
    return values


def _fill(query: str, values: dict[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        query = query.replace(f"${{{name}}}", values[name]).replace(f"${name}", values[name])
    return query
