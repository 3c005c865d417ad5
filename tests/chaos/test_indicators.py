"""What Prometheus recorded of an experiment's indicators is told at its end; so is why it is not known. And bounds."""

from __future__ import annotations

import re
import time

import pytest

from muster.chaos.context import Place
from muster.chaos.indicators import facts_of, tell_measured
from muster.chaos.promised import UNPROMISED, bound_s, over_of
from muster.judge.objectives import Objectives
from muster.system import load_environment, load_system
from muster.system.units import parse_duration
from muster.timeline import Kind

SYSTEM = load_system("x0tta6bl4")
STAGING = load_environment(SYSTEM, "staging")
QUIET = Objectives(must_not=("rollback",), action="by-hand")


def told(story):
    (event,) = [event for event in story.timeline().of(Kind.NOTE) if event.source == "indicators"]
    return event.data


def begun(story, **data):
    story.tell(Kind.DRILL_STARTED, source="muster", **data)
    story.tell(Kind.FAULT_INJECTED, source="muster", at=time.time() - 20.0)


def test_what_the_rules_recorded_since_the_fault_is_told(serve, story):
    """Of the indicators that alerts stand on which might do it, and of this system here; 0/0 is no value."""
    asked = []

    def answer(query):
        asked.append(query["query"])
        series = {"__name__": "x0tta6bl4:error_ratio:rate1m", "system": "x0tta6bl4"}
        values = [[1.0, "0.0123456789"], [1.25, "NaN"], [1.5, "0.02"]]
        return {"data": {"resultType": "matrix", "result": [{"metric": series, "values": values}]}}

    begun(story)
    env = STAGING.model_copy(update={"prometheus": serve({"/api/v1/query": answer}).url})
    tell_measured(story, QUIET, SYSTEM, env)
    assert told(story)["indicators"] == {"error_ratio": [(1.0, 0.012346), (1.5, 0.02)]}
    (query,) = asked
    (since_s,) = re.findall(r'system="x0tta6bl4",environment="staging"}\[(\d+)s\]$', query)
    assert 21 <= int(since_s) <= 60  # the fault was 20 s ago, the machine may stand still
    assert "x0tta6bl4:latency_p95:rate1m" in query
    assert "cpu" not in query  # nobody rolls back over it


@pytest.mark.parametrize("status", [500, 200])
def test_why_it_is_not_known_is_told(serve, story, status):
    """An answer that is none, and one of another shape: the judge then knows that it knows nothing."""
    begun(story)
    server = serve({"/api/v1/query": {"data": {}}})
    server.status = status
    tell_measured(story, QUIET, SYSTEM, STAGING.model_copy(update={"prometheus": server.url}))
    assert told(story)["indicators"] == {}
    assert told(story)["error"]


def test_nothing_is_asked_where_nothing_must_be_silent(story):
    """Nor before anything was broken: no Prometheus listens here."""
    begun(story)
    tell_measured(story, Objectives(recovered_within="5s"), SYSTEM, STAGING)
    assert [event for event in story.timeline().of(Kind.NOTE) if event.source == "indicators"] == []


def test_each_alert_that_might_act_is_told_with_what_it_stands_on():
    """At the environment's scale; what reads absence lasts as long as discovery; a ratio of rates does not add up."""
    found = facts_of(QUIET, SYSTEM, STAGING.model_copy(update={"time_scale": 60.0}))["rollback"]
    assert set(found) == {name for name, alert in SYSTEM.alerts.items() if alert.action == "rollback"}
    ratio, latency = (found[f"X0TTA6BL4{name}Rollback"] for name in ("ErrorRatio", "Latency"))
    assert (ratio["slo"], ratio["bound"], ratio["window_s"], ratio["adds_up"]) == ("error_ratio", 0.1, 1.0, False)
    assert (latency["bound"], latency["adds_up"]) == (0.5, False)
    assert ratio["told_s"] == pytest.approx(6.75)
    assert ratio["notified_s"] == pytest.approx(1.25)  # an evaluation and the way to Alertmanager: no group waits


def test_probes_wait_for_what_is_promised_over_what_it_counts_over(story):
    """The file's own word, where it gives one; a default, where nothing is promised."""
    begun(story, expected={"recovered_within_s": 15.0}, over_s={"recovered_within": 8.5, "finds_within": 1.0})
    assert bound_s("recovered_within", "") == 23.5
    assert bound_s("recovered_within", "2s") == 10.5
    assert bound_s("finds_within", "") == parse_duration(UNPROMISED) + 1.0


@pytest.mark.parametrize(
    ("kind", "alert", "scale", "expected"),
    [
        (Kind.ALERT_FIRING, "X0TTA6BL4ErrorRatioRollback", 60.0, 11.0 + 6.75 + 12.0),
        (Kind.ALERT_FIRING, "X0TTA6BL4ErrorRatioRollback", 1.0, 660.0 + 405.0 + 12.0),
        (Kind.PAGE_RECEIVED, "", 1.0, 30.0),
        (Kind.ROLLBACK_PROVEN, "", 1.0, 120.0),
        (Kind.CONTAINER_ENDED, "", 60.0, 11.0),
        (Kind.POD_READY, "", 1.0, 0.0),
    ],
)
def test_an_event_is_awaited_over_what_it_may_take(story, kind, alert, scale, expected):
    """All windows of an alert and discovery, a group wait, a rollout, the fault's own nature; else nothing."""
    begun(story, expected={"takes_s": 660.0}, over_s={"page_within": 30.0, "rollback_within": 120.0})
    where = Place(SYSTEM, STAGING.model_copy(update={"time_scale": scale}))
    assert over_of(where, kind, alert) == pytest.approx(expected)
