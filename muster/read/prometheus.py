"""Readings of Prometheus: one per SLO, and what it scrapes, evaluates and fires."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from muster.read.failures import ReadError
from muster.read.http import parse_json
from muster.snapshot import FailureKind
from muster.system.model import Slo
from muster.system.promql import fill, is_told_of, selector_of
from muster.system.units import duration

if TYPE_CHECKING:
    from muster.read.session import Session

STALE_SCRAPES = 4  # a sample may miss so many scrapes, and
STALE_SLACK_S = 1.0  # this much more, for a busy machine
Samples = list[tuple[dict[str, str], float]]


@dataclass(frozen=True, order=True)
class Gap:
    """What a value does not speak for, as a sentence; ``stale`` when samples are there but too old."""

    sentence: str
    stale: bool = False
    pod: str = ""  # the one that it is about


async def read_slo(session: Session, slo: Slo) -> dict[str, Any]:
    """One indicator: ``{"value", "per_replica": {pod: value}, "window_s", "gaps": [sentence], "gaps_of"}``.

    A gap is what is missing from a value that is otherwise known: a target that is down, a replica without fresh
    samples or without traffic; ``gaps_of`` has those that are about one pod once more, by pod. Whoever judges may fail
    on the value, but not pass over a gap.
    Raises ReadError when there is no value at all: no samples, only stale ones, or no traffic (0/0).
    """
    environment = session.environment
    window_s = environment.scaled(slo.window) if slo.over else None
    whole, replicas, gaps = await asyncio.gather(
        query(session, fill(slo.query, environment, slo.window)),
        _per_replica(session, slo),
        _gaps(session, slo),
    )
    per_replica = {pod: value for pod, value in replicas.items() if math.isfinite(value)}
    said = [gap.sentence for gap in gaps]
    idle = {pod: f"no traffic to {pod}{_in(window_s)}" for pod in sorted(replicas.keys() - per_replica.keys())}
    if not whole:
        reasons = f" ({'; '.join(said)})" if gaps else ""
        raise ReadError(FailureKind.EMPTY, f"no samples{_in(window_s)} from {environment.prometheus}{reasons}")
    if len(whole) > 1:
        raise ReadError(FailureKind.UNPARSEABLE, f"the query gives {len(whole)} series where one value was expected")
    value = whole[0][1]
    if not math.isfinite(value):
        raise ReadError(FailureKind.EMPTY, f"no traffic{_in(window_s)}: the query gives {value} (0/0)")
    if gaps and all(gap.stale for gap in gaps) and len(gaps) >= len(replicas):
        raise ReadError(FailureKind.STALE, "; ".join(said))
    of = defaultdict(list)
    for gap in gaps:
        of[gap.pod].append(gap.sentence)
    for pod in replicas.keys() - per_replica.keys():
        of[pod].append(idle[pod])
    of.pop("", None)
    return {
        "value": value,
        "per_replica": per_replica,
        "window_s": window_s,
        "gaps": [*said, *idle.values()],
        "gaps_of": dict(sorted(of.items())),
    }


async def read_targets(session: Session) -> list[dict[str, Any]]:
    """Active scrape targets that match the environment's selector: labels, health, last error and scrape.

    ``age_s`` is how long ago the last scrape was, by this machine's clock, None before the first; ``interval_s`` is the
    target's own, None where Prometheus does not tell.
    """
    data, now = await api(session, "targets", state="active"), time.time()
    wanted = _matchers(session.environment.metric_selector)
    targets = [
        {
            "job": target["labels"].get("job", ""),
            "instance": target["labels"].get("instance", ""),
            "pod": target["labels"].get("pod", ""),
            "health": target["health"],
            "last_error": target["lastError"],
            "last_scrape": target["lastScrape"],
            "age_s": _age_s(target["lastScrape"], now),
            "interval_s": _go_duration(target.get("scrapeInterval", "")),
        }
        for target in data["activeTargets"]
        if all(target["labels"].get(name) == value for name, value in wanted.items())
    ]
    if not targets:
        selector = session.environment.metric_selector or "anything"
        raise ReadError(
            FailureKind.EMPTY, f"{session.environment.prometheus} scrapes no target that matches {selector}"
        )
    return sorted(targets, key=lambda target: (target["job"], target["pod"], target["instance"]))


async def read_rules(session: Session) -> list[dict[str, Any]]:
    """Every loaded rule: name, kind (alerting, recording), expression, duration, labels, health, last error, state."""
    data = await api(session, "rules")
    return [
        {
            "name": rule["name"],
            "kind": rule["type"],
            "group": group["name"],
            "query": rule["query"],
            "for_s": rule.get("duration", 0),
            "labels": rule.get("labels", {}),
            "health": rule["health"],
            "last_error": rule.get("lastError", ""),
            "state": rule.get("state", ""),
        }
        for group in data["groups"]
        for rule in group["rules"]
    ]


async def read_alerts(session: Session) -> list[dict[str, Any]]:
    """Alerts that Prometheus holds pending or firing."""
    data = await api(session, "alerts")
    return [
        {
            "name": alert["labels"].get("alertname", ""),
            "state": alert["state"],
            "labels": alert["labels"],
            "summary": alert.get("annotations", {}).get("summary", ""),
            "active_at": alert.get("activeAt", ""),
        }
        for alert in data["alerts"]
    ]


async def read_alertmanagers(session: Session) -> list[str]:
    """The Alertmanagers that Prometheus sends to, by address."""
    data = await api(session, "alertmanagers")
    return sorted(entry["url"] for entry in data["activeAlertmanagers"])


async def _per_replica(session: Session, slo: Slo) -> dict[str, float]:
    """By pod, of those that are scraped now: a window still holds what pods of an earlier release have left in it."""
    if not slo.per_replica:
        return {}
    samples, up = await asyncio.gather(
        query(session, fill(slo.per_replica, session.environment, slo.window)), _targets_up(session, slo)
    )
    here = {labels["pod"] for labels, _ in up if "pod" in labels}
    found = {labels.get("pod", "?"): value for labels, value in sorted(samples, key=lambda sample: str(sample[0]))}
    return {pod: value for pod, value in found.items() if not here or pod in here}


async def _gaps(session: Session, slo: Slo) -> list[Gap]:
    """Why the samples that the SLO stands on may not speak for every replica."""
    if not slo.series:
        return []  # it judges presence itself
    selector = selector_of(slo.query, session.environment)
    up, *ages = await asyncio.gather(
        _targets_up(session, slo),
        *(query(session, f"time() - max by (pod) (timestamp({series}{{{selector}}}))") for series in slo.series),
    )
    down = [(labels.get("pod", ""), labels.get("instance", "?")) for labels, value in up if value == 0]
    gaps = [Gap(f"target {pod or instance} is down", pod=pod) for pod, instance in down]
    if not up and not is_told_of(slo.query):
        gaps.append(Gap(f"no target matches {selector}"))
    limit = STALE_SCRAPES * session.environment.scaled(session.environment.scrape_interval_s) + STALE_SLACK_S
    answering = {labels["pod"] for labels, value in up if value and "pod" in labels}
    for series, samples in zip(slo.series, ages, strict=True):
        silent = answering - {labels.get("pod") for labels, _ in samples}
        gaps += [Gap(f"{pod} answers its scrapes, but has no {series}", pod=pod) for pod in sorted(silent)]
        gaps += [
            Gap(
                f"the newest {series} of {labels.get('pod', '?')} is {duration(round(age, 1))} old",
                stale=True,
                pod=labels.get("pod", ""),
            )
            for labels, age in samples
            if age > limit
        ]
    return sorted(gaps)


async def _targets_up(session: Session, slo: Slo) -> Samples:
    """The system's own targets; what another program tells of it does not depend on them."""
    if is_told_of(slo.query):
        return []
    return await query(session, f"up{{{session.environment.metric_selector}}}")


async def query(session: Session, text: str) -> Samples:
    """An instant query; the same one is asked once a run."""

    async def ask() -> Samples:
        data = await api(session, "query", query=text)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    return await session.shared(text, ask)


async def api(session: Session, path: str, **params: str) -> Any:
    """The ``data`` of an answer of Prometheus' HTTP API. Raises ReadError when it is not one."""
    url = f"{session.environment.prometheus.rstrip('/')}/api/v1/{path}"
    status, raw = await session.http.get(url, params=params)
    if status in {401, 403}:
        raise ReadError(FailureKind.FORBIDDEN, f"{url} answered {status}")
    if status >= 500:
        raise ReadError(FailureKind.HTTP_STATUS, f"{url} answered {status}")
    body = parse_json(raw, url)
    if not isinstance(body, dict) or "status" not in body:
        raise ReadError(FailureKind.UNPARSEABLE, f"{url} does not speak Prometheus' API")
    if body["status"] != "success":
        raise ReadError(FailureKind.HTTP_STATUS, f"{url} answered {status}: {body.get('error', 'no reason given')}")
    return body["data"]


def _matchers(selector: str) -> dict[str, str]:
    """The equality matchers of a selector: the environment's labels as written in its facts."""
    return dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', selector))


def _age_s(stamp: str, now: float) -> float | None:
    """Seconds since an RFC 3339 time of Go's (nanoseconds and all); its zero time is never."""
    at = datetime.fromisoformat(re.sub(r"\.\d+", lambda match: match[0][:7].ljust(7, "0"), stamp))
    return None if at.year <= 1 else round(now - at.timestamp(), 3)


def _go_duration(text: str) -> float | None:
    """Seconds of ``1m0s`` or ``250ms``."""
    parts = re.findall(r"([0-9.]+)(h|ms|m|s)", text)
    return sum(float(number) * _GO_UNITS[unit] for number, unit in parts) if parts else None


_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def _in(window_s: float | None) -> str:
    return "" if window_s is None else f" in {duration(window_s)}"
