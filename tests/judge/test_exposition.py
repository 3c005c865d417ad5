"""What replicas expose, and whether the runbook's greps find in it what they mean."""

import pytest

from muster.errors import Unknown
from muster.judge import exposition
from muster.judge.replicas import Replicas
from muster.judge.undeclared import Undeclared
from muster.system import load_system
from muster.system.model import MetricName
from muster.verdict import SLOWarning


def name(pattern, metric):
    return MetricName(pattern=pattern, metric=metric, runbook="x#y", source="runbook / Errors")


LATENCY = name("latency", "request_duration_seconds")


def pages(**replicas):
    """Replica -> (names of its samples, what each grep shows)."""
    raw = {
        replica: page if "failure" in page else {"series": 9, "names": page[0], "greps": page[1]}
        for replica, page in replicas.items()
    }
    return Replicas("metrics", raw, lambda _, entry: exposition.exposed(entry))


NAMES = ["request_duration_seconds_bucket", "request_duration_seconds_count", "handshake_latency_seconds_sum"]


def test_a_grep_that_finds_its_metric_passes():
    """A histogram is found by any of its samples."""
    found = pages(a=(NAMES, {"request": NAMES[:2]}))
    exposition.assert_greps_find(found, [name("request", "request_duration_seconds")])


def test_a_grep_that_finds_nothing_fails_with_the_runbooks_line():
    """The sentence names the command, where it stands, and what is meant."""
    found = pages(a=(NAMES, {"latency": []}))
    with pytest.raises(AssertionError, match=r"`grep latency` \(runbook, Errors\) finds nothing.* of a: request_dur"):
        exposition.assert_greps_find(found, [LATENCY])


def test_a_grep_that_finds_something_else_only_warns():
    """It shows numbers, and not those that are meant."""
    found = pages(a=(NAMES, {"latency": [NAMES[2]]}), b=(NAMES, {"latency": [NAMES[2]]}))
    with pytest.warns(
        SLOWarning, match="finds only handshake_latency_seconds_sum, not request_duration_seconds"
    ) as said:
        exposition.assert_greps_find(found, [LATENCY])
    assert len(said) == 1  # once, not for each replica


def test_a_metric_that_is_meant_and_not_exposed_fails():
    """Something is found on one replica, but what is meant is not there at all."""
    found = pages(a=(NAMES, {"latency": [NAMES[2]]}), b=(NAMES[2:], {"latency": [NAMES[2]]}))
    with pytest.raises(AssertionError, match="which b does not expose"):
        exposition.assert_greps_find(found, [LATENCY])


def test_a_page_that_could_not_be_read_is_unknown():
    """With its reason, after the others were judged."""
    failed = {"failure": {"kind": "unparseable", "message": "not a metric at line 3"}}
    found = pages(a=(NAMES, {"latency": NAMES}), b=failed)
    with pytest.raises(Unknown, match="line 3"):
        exposition.assert_greps_find(found, [LATENCY])
    with pytest.raises(Unknown, match="was not searched"):
        exposition.assert_greps_find(pages(a=(NAMES, {})), [LATENCY])


def test_without_greps_in_the_facts_there_is_nothing_to_judge():
    """A skip, not a pass."""
    with pytest.raises(Undeclared):
        exposition.assert_greps_find(pages(a=(NAMES, {})), [])


def test_a_replica_that_hides_a_family_of_the_slos_is_named():
    """Those that others tell about it (restarts) are not asked of it."""
    facts = load_system("x0tta6bl4")
    own = sorted({series for slo in facts.slo.values() if "{selector}" in slo.query for series in slo.series})
    assert "kube_pod_container_status_restarts_total" not in own
    exposition.assert_every_page_is_sound(pages(a=(own, {})), facts)
    with pytest.raises(AssertionError, match=f"/metrics of b has no {own[0]}: every alert on it is silent"):
        exposition.assert_every_page_is_sound(pages(a=(own, {}), b=(own[1:], {})), facts)
