"""Room in quotas for what the runbook prescribes: FAIL, PASS and UNKNOWN, as the API server counts."""

import dataclasses

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared, pods, quota, rollout


def deployment(**changes):
    return rollout.Deployment(
        **{
            "name": "app", "namespace": "ns", "generation": 2, "observed_generation": 2, "revision": 2,
            "paused": False, "images": ("app:1",), "wanted": 3, "replicas": 3, "updated": 3, "ready": 3,
            "available": 3, "conditions": {}, "labels": {}, "containers": {"app": "app:1"},
            "strategy": {"type": "RollingUpdate", "max_surge": "25%", "max_unavailable": "25%"}, **changes,
        }
    )  # fmt: skip


def ask(name="app", init=False, **changes):
    requests, limits = {"cpu": "100m", "memory": "64Mi"}, {"memory": "3Gi"}
    return pods.Ask(
        **{
            "name": name,
            "image": "app:1",
            "main": name == "app",
            "init": init,
            "requests": requests,
            "limits": limits,
            **changes,
        }
    )


def pod(name="a", node="n", ready=True, terminating=False, asks=None):
    return pods.Pod(
        name=name, created=0.0, terminating=terminating, template_hash="h", phase="Running", reason="", ip="1",
        node=node, conditions={"Ready": "True" if ready else "False"}, containers=(),
        asks=(ask(),) if asks is None else asks,
    )  # fmt: skip


def limit(hard, used, name="q", scopes=()):
    return quota.quotas([{"name": name, "hard": hard, "used": used, "scopes": list(scopes)}])


REPLICAS = (pod("a"), pod("b"), pod("c"))


def test_no_quota_is_no_limit():
    """An empty list was read: nothing refuses any replica."""
    quota.assert_room_to_scale((), deployment(), REPLICAS, 10)
    quota.assert_room_to_roll_out((), deployment(wanted=1), REPLICAS)


@pytest.mark.parametrize(
    ("hard", "used", "word"),
    [
        ({"pods": "6"}, {"pods": "3"}, "from 3 to 7 replicas: pods needs 4 more, 3 of 6 is left"),
        ({"count/pods": "6"}, {"count/pods": "3"}, "count/pods needs 4 more, 3 of 6"),
        ({"requests.cpu": "600m"}, {"requests.cpu": "300m"}, "requests.cpu needs 400m more, 300m of 600m is left"),
        ({"cpu": "0.5"}, {"cpu": "300m"}, "cpu needs 400m more, 200m of 0.5"),
        ({"requests.memory": "400Mi"}, {"requests.memory": "192Mi"}, "requests.memory needs 256Mi more, 208Mi of"),
        ({"limits.memory": "20Gi"}, {"limits.memory": "9Gi"}, "limits.memory needs 12Gi more, 11Gi of 20Gi"),
        ({"pods": "2"}, {"pods": "4"}, "pods needs 4 more, 0 of 2"),
    ],
)
def test_a_quota_without_room_for_the_remedy_fails_with_what_is_missing(hard, used, word):
    """Each kind of resource, under each of its names, in the units that people write."""
    with pytest.raises(AssertionError, match=word):
        quota.assert_room_to_scale(limit(hard, used), deployment(), REPLICAS, 7)
    roomy = dict.fromkeys(hard, "1000Gi")
    quota.assert_room_to_scale(limit(roomy, used), deployment(), REPLICAS, 7)


def test_exactly_enough_is_enough_and_replicas_that_are_there_need_none():
    """Four more of four left; and nothing when the deployment is larger already."""
    quota.assert_room_to_scale(limit({"pods": "7"}, {"pods": "3"}), deployment(), REPLICAS, 7)
    quota.assert_room_to_scale(limit({"pods": "8"}, {"pods": "8"}), deployment(replicas=8), REPLICAS, 7)


def test_sidecars_are_added_and_init_containers_only_count_when_larger():
    """As the API server counts a pod: 100m + 50m together, or 400m before them."""
    both = (pod(asks=(ask(), ask("sidecar", requests={"cpu": "50m"}))),)
    first = (pod(asks=(ask(), ask("first", init=True, requests={"cpu": "400m"}))),)
    left = {"requests.cpu": "0"}
    with pytest.raises(AssertionError, match="needs 600m more"):
        quota.assert_room_to_scale(limit({"requests.cpu": "500m"}, left), deployment(), both, 7)
    with pytest.raises(AssertionError, match=r"needs 1600m more|needs 1.6 more"):
        quota.assert_room_to_scale(limit({"requests.cpu": "1"}, left), deployment(), first, 7)


def test_a_quota_that_has_not_counted_or_whose_scope_is_unclear_is_unknown():
    """And one for other kinds of pods says nothing of these."""
    with pytest.raises(Unknown, match="q does not say yet how much pods is used"):
        quota.assert_room_to_scale(limit({"pods": "9"}, {}), deployment(), REPLICAS, 7)
    full = {"pods": "3"}
    with pytest.raises(Unknown, match="depends on its scope PriorityClass"):
        quota.assert_room_to_scale(limit(full, full, scopes=["PriorityClass"]), deployment(), REPLICAS, 7)
    quota.assert_room_to_scale(limit(full, full, scopes=["Terminating"]), deployment(), REPLICAS, 7)
    quota.assert_room_to_scale(limit(full, full, scopes=["BestEffort"]), deployment(), REPLICAS, 7)
    with pytest.raises(AssertionError, match="no room"):
        quota.assert_room_to_scale(limit(full, full, scopes=["NotTerminating"]), deployment(), REPLICAS, 7)
    firm = limit(full, full, "firm")
    with pytest.raises(AssertionError, match="quota firm"):  # FAIL outranks UNKNOWN
        quota.assert_room_to_scale(limit(full, full, scopes=["PriorityClass"]) + firm, deployment(), REPLICAS, 7)
    with pytest.raises(Undeclared, match="how many replicas a remedy scales to"):
        quota.assert_room_to_scale((), deployment(), REPLICAS, None)
    with pytest.raises(Unknown, match="every pod is being deleted"):
        quota.assert_room_to_scale(firm, deployment(), (pod(terminating=True),), 7)


@pytest.mark.parametrize(
    ("wanted", "strategy", "more"),
    [
        (3, {"max_surge": "25%", "max_unavailable": "25%"}, 1),  # a quarter of three, rounded down, is none
        (4, {"max_surge": "25%", "max_unavailable": "25%"}, 0),
        (3, {"max_surge": 2, "max_unavailable": 0}, 2),
        (3, {"max_surge": 1, "max_unavailable": 1}, 0),
        (0, {"max_surge": 1, "max_unavailable": 0}, 0),
        (3, {"type": "Recreate", "max_surge": "25%", "max_unavailable": "25%"}, 0),
    ],
)
def test_a_rollback_needs_room_where_no_pod_may_go_first(wanted, strategy, more):
    """Kubernetes' rounding: the surge up, the unavailable down."""
    there = deployment(wanted=wanted, replicas=wanted, strategy={"type": "RollingUpdate", **strategy})
    assert quota.surge_of(there) == more
    full = limit({"pods": "3"}, {"pods": "3"})
    if more:
        with pytest.raises(AssertionError, match="no room for a rollout or rollback of app"):
            quota.assert_room_to_roll_out(full, there, REPLICAS)
    else:
        quota.assert_room_to_roll_out(full, there, REPLICAS)
    halfway = dataclasses.replace(there, replicas=wanted + more)  # what it takes to go back is there already
    quota.assert_room_to_roll_out(full, halfway, REPLICAS)
