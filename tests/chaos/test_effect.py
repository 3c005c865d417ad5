"""What is asked of Prometheus where a release runs and nobody has seen it to be bad."""

from __future__ import annotations

import time

import pytest

from muster.chaos.sources import Alerts, watchers
from muster.system import Environment, load_system
from muster.timeline import Kind

FACTS = load_system("x0tta6bl4")
ALERT = "X0TTA6BL4ErrorRatioRollback"
RELEASED = {"fault": "20261121t000000-bad_release-abc123", "hash": "bad", "pods": []}


@pytest.fixture
def told(serve, story):
    """``told(query -> answer's body, confirmed, *events)`` -> the effects that were told, and what was asked."""

    def run(result, confirmed=RELEASED, ready="bad", pending="", firing="", expected=ALERT):
        asked = []

        def query(parameters):
            asked.append(parameters["query"])
            return {"data": {"result": result if "over_time" in parameters["query"] else []}}

        url = serve({"/api/v1/alerts": {"data": {"alerts": []}}, "/api/v1/query": query}).url
        env = Environment(name="lab", description="here", prometheus=url, time_scale=60, metric_selector='app="web"')
        story.tell(Kind.DRILL_STARTED, source="muster", expected={"alert": expected})
        story.tell(Kind.FAULT_INJECTED, source="muster")
        story.tell(Kind.POD_READY, source="kubernetes", pod="a", hash=ready)
        story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", **confirmed)
        if pending:
            story.tell(Kind.ALERT_PENDING, source="prometheus", alert=pending)
        if firing:
            story.tell(Kind.ALERT_FIRING, source="prometheus", alert=firing)
        (watcher,) = watchers(story, FACTS, env, since=time.time(), load=None, kube=None)
        assert isinstance(watcher, Alerts)
        watcher.close()
        effects = [event.data["effect"] for event in story.timeline().of(Kind.NOTE) if "effect" in event.data]
        return effects, [one for one in asked if "over_time" in one]

    return run


@pytest.mark.parametrize(
    ("result", "worst"), [([{"value": [0, "0.02"]}], 0.02), ([], None), ([{"value": [0, "NaN"]}], None)]
)
def test_the_worst_of_the_expected_alerts_indicator_is_told_by_the_facts_own_query(told, result, worst):
    """Not by the loaded rules, which may be what is broken; no samples are no value."""
    (effect,), (asked,) = told(result)
    assert effect == {"slo": "error_ratio", "bound": 0.1, "above": True, "unit": "ratio", "worst": worst}
    assert asked.startswith("max_over_time((")
    assert 'app="web"' in asked
    assert asked.endswith(":1s])")


@pytest.mark.parametrize(
    "known",
    [{"firing": ALERT}, {"ready": "good"}, {"confirmed": RELEASED | {"fault": "20261121t000000-pod_kill-abc123"}}],
    ids=["the alert saw it", "no pod of it ever served", "no release"],
)
def test_nothing_is_asked_of_what_has_shown_itself(told, known):
    """That is its effect."""
    assert told([], **known) == ([], [])


DOWN = "X0TTA6BL4DownRollback"


def test_an_absence_that_only_blinked_is_asked_for_and_counts_as_long_as_it_held(told):
    """Any rollout makes "down" pending for a moment: neither that nor its worst value shows a bad release."""
    (effect,), (asked,) = told([{"value": [0, "0"]}], expected=DOWN, pending=DOWN)
    assert effect == {"slo": "down", "bound": 0, "above": True, "unit": "count", "worst": 0, "held_s": 12}
    assert asked.startswith("max_over_time(min_over_time((")
    assert "[13s:1s])[" in asked


def test_an_alert_that_was_only_pending_leaves_its_indicator_to_be_asked(told):
    """What it measured counts, not that it was about to fire."""
    (effect,), _ = told([{"value": [0, "0.2"]}], pending=ALERT)
    assert effect["worst"] == 0.2
    assert "held_s" not in effect
