"""Readings of what Prometheus holds: the series that rules, runbooks and dashboards stand on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from muster.read.failures import ReadError, explain
from muster.read.prometheus import api
from muster.read.prometheus import query as ask
from muster.system.promql import fill, selector_of
from muster.system.selectors import Selector, selectors

if TYPE_CHECKING:
    from muster.read.session import Session

_OF_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")
_AT_ONCE = 12  # selectors in one query: an address of some 3 KB


async def read_prometheus_ready(session: Session) -> dict[str, Any]:
    """Whether Prometheus says that it is ready to answer: ``{"status_code", "said"}``; 503 is an answer, too."""
    return await ready(session, session.environment.prometheus)


async def ready(session: Session, base: str) -> dict[str, Any]:
    """``/-/ready`` of Prometheus or Alertmanager."""
    status, body = await session.http.get(f"{base.rstrip('/')}/-/ready")
    return {"status_code": status, "said": body[:200].decode("utf-8", "replace").strip()}


async def read_series(session: Session) -> dict[str, int]:
    """How many series each metric of the facts has now, with the environment's labels: ``{metric: number}``.

    The metrics are those that the SLOs stand on.
    """
    wanted: dict[str, str] = {}
    for slo in session.system.slo.values():
        for name in slo.series:
            wanted.setdefault(name, f"{name}{{{selector_of(slo.query, session.environment)}}}")
    counts = await count(session, list(wanted.values()))
    return {name: counts[selector] for name, selector in wanted.items()}


async def read_rule_series(session: Session, rules: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many series each selector in the rules of the facts finds now: ``{selector: number}``.

    The selectors of every loaded alert that the facts name, and of the recording rules that such an alert reads.
    """
    recorded = {rule["name"]: rule["query"] for rule in rules if rule["kind"] == "recording"}
    named = {*session.system.alerts, session.system.no_data.alert}
    found: dict[Selector, None] = {}
    for rule in rules:
        if rule["kind"] == "alerting" and rule["name"] in named:
            own = selectors(rule["query"])
            found.update(dict.fromkeys(own))
            for selector in own:
                found.update(dict.fromkeys(selectors(recorded.get(selector.name, ""))))
    return await count(session, [str(selector) for selector in found])


async def read_buckets(session: Session) -> dict[str, list[float]]:
    """The bounds of every histogram that an SLO takes a quantile of: ``{metric: [bound, ...]}``, +Inf left out."""
    selected = {
        name: f"{name}{{{selector_of(slo.query, session.environment)}}}"
        for slo in session.system.slo.values()
        if "histogram_quantile" in slo.query
        for name in slo.series
    }
    found = await asyncio.gather(*(ask(session, f"count by (le) ({selector})") for selector in selected.values()))
    return {
        name: sorted(float(labels["le"]) for labels, _ in samples if labels.get("le", "+Inf") != "+Inf")
        for name, samples in zip(selected, found, strict=True)
    }


async def read_metric_types(session: Session) -> dict[str, list[str]]:
    """What each metric that an SLO stands on is said to be: ``{metric: [type, ...]}``, from Prometheus' metadata.

    Types as their targets declare them (counter, gauge, histogram, ...); several when targets disagree, none when no
    target declares any. A series of a histogram is found under the histogram's own name.
    """
    names = sorted({name for slo in session.system.slo.values() for name in slo.series})
    found = await asyncio.gather(*(_types(session, name) for name in names))
    return dict(zip(names, found, strict=True))


async def _types(session: Session, name: str) -> list[str]:
    for metric in (name, _OF_HISTOGRAM.sub("", name)):
        entries = (await api(session, "metadata", metric=metric)).get(metric, [])
        if entries:
            return sorted({str(entry["type"]) for entry in entries})
    return []


async def read_panels(session: Session, dashboards: dict[str, Any]) -> list[dict[str, Any]]:
    """How many series each panel's query finds now: ``[{"dashboard", "panel", "query", "series" or "failure"}]``."""
    panels = [
        {"dashboard": uid, "panel": panel["title"], "query": query}
        for uid, dashboard in sorted(dashboards["expected"].items())
        if dashboard is not None
        for panel in dashboard["panels"]
        for query in panel["queries"]
    ]
    asked = _indicators(session)
    texts = list(dict.fromkeys(panel["query"] for panel in panels))
    # Many panels show one recorded series: those are counted together, and cannot be refused for their syntax.
    plain = [text for text in texts if "(" not in text and [str(one) for one in selectors(text) if one.name] == [text]]
    counted = await count(session, plain)
    found = await asyncio.gather(*(_series(session, text, asked) for text in texts if text not in counted))
    by_text = dict(zip((text for text in texts if text not in counted), found, strict=True))
    by_text |= {text: {"series": number} for text, number in counted.items()}
    return [{**panel, **by_text[panel["query"]]} for panel in panels]


async def _series(session: Session, text: str, asked: frozenset[str]) -> dict[str, Any]:
    """How many series a query finds, or why that is not known."""
    try:
        # What an indicator asks anyway is asked once; of anything else only the number of series is fetched.
        samples = await ask(session, text if text in asked else f"count({text})")
    except (ReadError, OSError) as error:  # typed, and kept: one query says nothing about the others
        failure = explain(error, session.environment.prometheus, session.deadline_s)
        assert failure is not None  # noqa: S101 - all of these are failures to read
        return {"failure": {"kind": failure.kind.value, "message": failure.message}}
    return {"series": len(samples) if text in asked else int(samples[0][1]) if samples else 0}


def _indicators(session: Session) -> frozenset[str]:
    """The queries of the indicators as they are asked here."""
    return frozenset(
        fill(text, session.environment, slo.window)
        for slo in session.system.slo.values()
        for text in (slo.query, slo.per_replica)
        if text
    )


async def count(session: Session, wanted: Sequence[str]) -> dict[str, int]:
    """How many series each selector finds now, few queries for many selectors."""
    parts = [wanted[first : first + _AT_ONCE] for first in range(0, len(wanted), _AT_ONCE)]
    found = await asyncio.gather(*(_count_part(session, part) for part in parts))
    return {selector: number for part in found for selector, number in part}


async def _count_part(session: Session, part: Sequence[str]) -> Iterable[tuple[str, int]]:
    query = " or ".join(
        f'label_replace(count({selector}), "selector", "{index}", "", "")' for index, selector in enumerate(part)
    )
    counts = {labels["selector"]: int(value) for labels, value in await ask(session, query)}
    return [(selector, counts.get(str(index), 0)) for index, selector in enumerate(part)]
