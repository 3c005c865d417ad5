"""Facts -> Grafana dashboards: a panel for each indicator, its ladder as thresholds, each replica beside the whole."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from muster.errors import UsageError
from muster.rules.names import identity, record
from muster.rules.prometheus import threshold
from muster.system.environment import Environment
from muster.system.expectations import Dashboard
from muster.system.model import LEVELS, Limit, Slo, System
from muster.system.promql import fill
from muster.system.units import Unit, show

SCHEMA_VERSION = 39  # of Grafana 10; newer ones migrate it when it is loaded
_UNITS = {
    Unit.RATIO: "percentunit", Unit.SECONDS: "s", Unit.BYTES: "decbytes", Unit.PER_SECOND: "reqps", Unit.COUNT: "short",
}  # fmt: skip
_COLORS = {"rollback": "dark-red", "critical": "red", "warning": "orange", "objective": "yellow", "": "green"}
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_HEIGHT, _WIDTH, _COLUMNS = 8, 12, 2  # Grafana's grid is 24 wide


def dashboards(system: System, environment: Environment) -> dict[str, dict[str, Any]]:
    """The JSON model of each of the system's dashboards, by uid.

    Raises :class:`~muster.errors.UsageError` when the facts name none.
    """
    if not system.dashboards:
        raise UsageError(f"systems/{system.name}.yaml names no dashboards: there is nothing to render for Grafana")
    return {entry.uid: _dashboard(system, environment, entry) for entry in system.dashboards}


def _dashboard(system: System, environment: Environment, entry: Dashboard) -> dict[str, Any]:
    own = ",".join(f'{key}="{value}"' for key, value in identity(system, environment).items())
    panels = [_panel(system, environment, name, own) for name in entry.slo or system.slo]
    for index, panel in enumerate(panels):
        row, column = divmod(index, _COLUMNS)
        panel |= {"id": index + 1, "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT}}
    return {
        "uid": entry.uid,
        "title": entry.title,
        "description": f"Rendered from systems/{system.name}.yaml for {environment.name} by 'muster rules'",
        "tags": ["muster", system.name, environment.name],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,  # one crosshair through all panels
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "annotations": {"list": [_firing(own)]},
        "panels": panels,
    }


def _firing(own: str) -> dict[str, Any]:
    """Alerts as marks in every panel."""
    return {
        "name": "Firing alerts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": f'ALERTS{{alertstate="firing",{own}}}',
        "titleFormat": "{{alertname}}",
        "textFormat": "tell {{tell}}, action {{action}}",
    }


def _panel(system: System, environment: Environment, name: str, own: str) -> dict[str, Any]:
    slo = system.slo[name]
    targets = [(f"{record(system, name)}{{{own}}}", "all")]
    if slo.per_replica:
        targets.append((fill(slo.per_replica, environment, slo.window), "{{pod}}"))
    return {
        "type": "timeseries",
        "title": slo.title,
        "description": _ladder(name, slo),
        "datasource": _SOURCE,
        "targets": [
            {"refId": ref, "datasource": _SOURCE, "expr": expression, "legendFormat": legend, "range": True}
            for ref, (expression, legend) in zip("AB", targets, strict=False)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": _UNITS[slo.unit],
                "thresholds": {"mode": "absolute", "steps": steps(slo)},
                "custom": {"thresholdsStyle": {"mode": "line"}},
            },
            "overrides": [],
        },
        "options": {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"}},
        "links": [
            {"title": "Runbook", "url": system.runbook_url(slo.runbook, environment.runbooks), "targetBlank": True}
        ],
    }


def _ladder(name: str, slo: Slo) -> str:
    """``error_ratio over 1m: objective < 0.1%, warning > 1%, ...``."""
    over = f" over {slo.over}" if slo.over else ""
    rungs = ((level, getattr(slo, level)) for level in (*LEVELS, "target"))
    said = (f"{level} {limit.operator} {show(limit.bound, slo.unit)}" for level, limit in rungs if limit is not None)
    return f"{name}{over}: {', '.join(said)}"


def steps(slo: Slo) -> list[dict[str, Any]]:
    """The ladder as Grafana's thresholds: colours from values upward, the first without a value.

    Each stretch between two bounds has the colour of the worst level that holds inside it; yellow misses the objective.
    """
    bounds = sorted({limit.bound for level in LEVELS if (limit := slo.limit(level)) is not None})
    # Grafana's steps begin at their value, limits beyond it: 0 of what must not be is green, and so are 3 restarts.
    strictly = 1e-6 if slo.unit is Unit.COUNT else 0.0
    made: list[dict[str, Any]] = []
    for low, high in pairwise([-math.inf, *bounds, math.inf]):
        color = _COLORS[_level(slo, _inside(low, high))]
        if not made or made[-1]["color"] != color:
            made.append({"color": color, "value": None if low == -math.inf else float(threshold(low + strictly))})
    return made


def _inside(low: float, high: float) -> float:
    if low == -math.inf:
        return high - 1 if high != math.inf else 0.0
    return low + 1 if high == math.inf else (low + high) / 2


def _level(slo: Slo, value: float) -> str:
    worst: tuple[tuple[str, Limit | None], ...] = (
        ("rollback", slo.rollback), ("critical", slo.critical), ("warning", slo.warning),
    )  # fmt: skip
    for level, limit in worst:
        if limit is not None and limit.holds(value):
            return level
    return "objective" if slo.objective is not None and not slo.objective.holds(value) else ""
