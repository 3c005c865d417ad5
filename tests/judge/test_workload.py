"""Rollout, pods and targets."""

import dataclasses
import warnings

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared, pods, rollout, targets, view
from muster.snapshot import Reading, Snapshot
from muster.system import load_system
from muster.system.model import Pods
from muster.verdict import SLOWarning

FACTS = Pods(most_restarts=3, restart_window_s="15m", least_replicas=3, source="tests")


def deployment(**changes):
    return rollout.Deployment(
        **{
            "name": "app", "namespace": "ns", "generation": 2, "observed_generation": 2, "revision": 2,
            "paused": False, "images": ("app:1",), "wanted": 3, "replicas": 3, "updated": 3, "ready": 3,
            "available": 3, "conditions": {"Progressing": ("True", "NewReplicaSetAvailable", "")}, "labels": {},
            "containers": {"app": "app:1"}, "strategy": {}, **changes,
        }
    )  # fmt: skip


def container(**changes):
    return pods.Container(
        **{
            "name": "app", "image": "app:1", "image_id": "reg/app@sha256:aaaa", "ready": True, "restarts": 0,
            "waiting": "", "waiting_message": "", "last_exit": None, **changes,
        }
    )  # fmt: skip


def pod(name="a", terminating=False, phase="Running", ready="True", **changes):
    return pods.Pod(
        name=name, created=0.0, terminating=terminating, template_hash="h", phase=phase, reason="", ip="1", node="n",
        conditions={"Ready": ready}, containers=(container(**changes),),
    )  # fmt: skip


STUCK = {"conditions": {"Progressing": ("False", "ProgressDeadlineExceeded", "timed out")}}


@pytest.mark.parametrize(
    ("judge", "changes", "word"),
    [
        (rollout.assert_complete, {"observed_generation": 1}, "has not seen its newest spec"),
        (rollout.assert_complete, {"updated": 1, "replicas": 4}, "1 of 3 replicas are of it, 4 run in all"),
        (rollout.assert_in_time, STUCK, "revision 2 is stuck: ProgressDeadlineExceeded: timed out"),
        (rollout.assert_not_paused, {"paused": True}, "paused at revision 2"),
    ],
)
def test_a_rollout_that_is_not_through_says_where_it_stands(judge, changes, word):
    """A stuck rollout stays Available, so that is not asked."""
    judge(deployment())
    with pytest.raises(AssertionError, match=word):
        judge(deployment(**changes))


def test_a_controller_that_says_nothing_of_progress_is_unknown():
    """Without the condition nobody has looked; a paused rollout has none to make, and fails elsewhere."""
    with pytest.raises(Unknown, match="says nothing of its progress"):
        rollout.assert_in_time(deployment(conditions={}))
    rollout.assert_in_time(deployment(conditions={}, paused=True))
    with pytest.raises(Undeclared, match="app sets no deadline"):
        rollout.assert_in_time(deployment(conditions={}, deadline_s=rollout.NO_DEADLINE))


def test_fewer_replicas_than_the_runbook_asks_for_fail():
    """Two of two are ready, and still one is missing."""
    with pytest.raises(AssertionError, match="2 of 3 replicas are ready"):
        rollout.assert_ready(deployment(ready=2), FACTS)
    with pytest.raises(AssertionError, match="wants 2 replicas; the runbook asks for 3"):
        rollout.assert_ready(deployment(ready=2, wanted=2), FACTS)


def test_a_first_revision_has_nothing_to_go_back_to_and_that_is_no_fault():
    """It is no pass either: the check is skipped. A later revision that has lost its past fails."""
    with pytest.raises(Undeclared, match="at its first revision"):
        rollout.assert_an_earlier_revision_is_kept(deployment(revision=1), ())
    with pytest.raises(AssertionError, match="no earlier ReplicaSet"):
        rollout.assert_an_earlier_revision_is_kept(deployment(revision=4), ())


def test_a_drills_bad_release_is_no_earlier_revision():
    """Where it was all that there was beside the first release, that one is still the first, by its own history."""

    def kept(*sets, **how):
        common = {"template_hash": "h", "images": ("a:1",), "build": "b", "wanted": 0, "ready": 0, "created": 0.0}
        made = tuple(rollout.ReplicaSet(name="r", **{**common, **one}) for one in sets)
        rollout.assert_an_earlier_revision_is_kept(deployment(**how), made)

    bad = {"revision": 2, "withdrawn": "bad release of fault f"}
    for history in ([], [bad]):
        with pytest.raises(Undeclared, match="at its first revision"):
            kept(*history, {"revision": 3, "first_revision": 1}, revision=3)
        with pytest.raises(AssertionError, match="no earlier ReplicaSet"):
            kept(*history, {"revision": 3, "first_revision": 2}, revision=3)
    kept({"revision": 1}, bad, {"revision": 3, "first_revision": 3}, revision=3)


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (pod(waiting="CrashLoopBackOff", waiting_message="back-off 10s"), "waits: CrashLoopBackOff back-off 10s"),
        (pod(phase="Pending"), "a is Pending"),
        (pod(ready="False"), "running but not ready"),
    ],
)
def test_a_pod_that_does_not_run_is_named_with_its_reason(broken, word):
    """Waiting, pending and not ready are told apart."""
    with pytest.raises(AssertionError, match=word):
        pods.assert_running((broken,))


def test_pods_that_are_leaving_are_not_judged_but_only_those_is_unknown():
    """Judging nothing is not a pass."""
    pods.assert_running((pod(), pod("b", terminating=True, phase="Failed")))
    with pytest.raises(Unknown, match="every pod is being deleted"):
        pods.assert_running((pod(terminating=True),))


def test_two_digests_under_one_tag_are_two_builds():
    """The tag is the same; what runs is not."""
    with pytest.raises(AssertionError, match="different builds"):
        pods.assert_one_build((pod(), pod("b", image_id="reg/app@sha256:bbbb")))
    with pytest.raises(Unknown, match="not reported yet"):
        pods.assert_one_build((pod(image_id=""),))


def unreported(name="a"):
    """A pod that the kubelet has not reported on: no containerStatuses."""
    return dataclasses.replace(pod(name, phase="Pending", ready="False"), containers=())


@pytest.mark.parametrize(
    "judge",
    [
        pods.assert_one_build,
        lambda seen: pods.assert_few_restarts(seen, FACTS, now=200.0, time_scale=60),
        lambda seen: pods.assert_nothing_was_killed_for_memory(seen, FACTS, now=200.0, time_scale=60),
    ],
    ids=["build", "restarts", "memory"],
)
def test_a_pod_of_whose_containers_nothing_is_reported_is_unknown(judge):
    """Beside one that is well, too: a loop over no container has judged nothing."""
    for seen in ((unreported(),), (pod(), unreported("b")), (unreported(), pod("b"))):
        with pytest.raises(Unknown, match="nothing is reported of its containers yet"):
            judge(seen)


def test_what_is_known_to_be_wrong_fails_although_a_pod_is_unreported():
    """FAIL outranks UNKNOWN, in whatever order the pods come."""
    with pytest.raises(AssertionError, match="different builds"):
        pods.assert_one_build((unreported(), pod("b"), pod("c", image_id="reg/app@sha256:bbbb")))
    crashed = pod("b", restarts=9, last_exit=pods.Exit(code=1, reason="Error", at=100.0))
    with pytest.raises(AssertionError, match="restarted 9 times"):
        pods.assert_few_restarts((unreported(), crashed), FACTS, now=101.0, time_scale=60)
    with pytest.raises(Unknown, match="nothing is reported of its container sidecar"):
        pods.assert_one_build((pod(),), container="sidecar")


def test_restarts_count_within_the_scaled_window():
    """Old restarts are history, a recent one warns, too many fail with the reason of the last exit."""
    oom = pods.Exit(code=137, reason="OOMKilled", at=100.0)
    judge = pods.assert_few_restarts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge((pod(restarts=9, last_exit=oom),), FACTS, now=200.0, time_scale=60)
    with pytest.warns(SLOWarning, match="a restarted once, last within 15s: OOMKilled, exit code 137"):
        judge((pod(restarts=1, last_exit=oom),), FACTS, now=110.0, time_scale=60)
    with pytest.raises(AssertionError, match=r"restarted 4 times, .* \(at most 3 are allowed\)"):
        judge((pod(restarts=4, last_exit=oom),), FACTS, now=110.0, time_scale=60)


def test_what_the_facts_do_not_state_is_not_judged():
    """Undeclared, which pytest shows as a skip with this reason."""
    with pytest.raises(Undeclared, match="do not say how many replicas"):
        rollout.assert_ready(deployment(), None)


def target(name="a", health="up"):
    return targets.Target(job="app", instance="1:2", pod=name, health=health, last_error="refused", last_scrape="")


def test_a_target_that_is_down_fails_and_one_never_scraped_is_unknown():
    """'unknown' is Prometheus' own word for it."""
    with pytest.raises(AssertionError, match="cannot scrape b: refused"):
        targets.assert_all_up((target("a", "unknown"), target("b", "down")))
    with pytest.raises(Unknown, match="has not scraped a yet"):
        targets.assert_all_up((target("a", "unknown"),))


def test_a_target_whose_pod_is_being_taken_away_need_not_answer():
    """Nobody is sent there any more; where all are, nothing was judged."""
    gone = dataclasses.replace(target("old", "down"), leaving=True)
    targets.assert_all_up((target("a"), gone))
    with pytest.raises(Unknown, match="every pod that Prometheus scrapes is being taken away"):
        targets.assert_all_up((gone,))


def test_what_is_missing_of_a_pod_within_its_grace_period_is_no_gap():
    """One that hangs is killed at its end; one that outlives it is stuck, and counts again."""
    raw = {"value": 0.0, "per_replica": {"a": 0.0, "old": 0.4}, "window_s": 5.0}
    gaps = {"gaps": ["target old is down", "no target"], "gaps_of": {"old": ["target old is down"]}}
    leaving = [{"name": "a", "leaves_by": 0.0}, {"name": "old", "leaves_by": 100.0}]

    def seen(at):
        values = {"error_ratio": raw | gaps, "pods": leaving}
        readings = {
            name: Reading(name=name, source="tests", at=at, took_s=0.0, value=value) for name, value in values.items()
        }
        snapshot = Snapshot(
            system="x0tta6bl4", environment="lab", time_scale=60.0, taken_at=at, took_s=0.0, readings=readings
        )
        return view(snapshot, "error_ratio", load_system("x0tta6bl4"))

    assert (seen(99.0).gaps, seen(99.0).per_replica) == (("no target",), {"a": 0.0})
    assert seen(110.0).gaps == ("target old is down", "no target")
    assert seen(110.0).per_replica == {"a": 0.0, "old": 0.4}


def test_a_ready_pod_that_nobody_scrapes_fails():
    """What Prometheus does not see, no alert is about."""
    with pytest.raises(AssertionError, match="b is ready, but Prometheus does not scrape it"):
        targets.assert_every_pod_is_scraped((target("a"),), (pod("a"), pod("b")))


def test_while_no_pod_is_ready_whether_all_are_scraped_is_unknown():
    """Nothing was judged, so nothing held."""
    young = dataclasses.replace(pod("a"), conditions={"Ready": "False"})
    with pytest.raises(Unknown, match="no pod is ready"):
        targets.assert_every_pod_is_scraped((target("a"),), (young,))
