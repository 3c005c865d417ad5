"""The arithmetic of rollouts, without a world."""

import pytest

from lab.controllers import arithmetic, progress, revisions
from lab.controllers.replicaset import deletion_rank


def deployment(replicas, surge="25%", unavailable="25%"):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": {"name": "web", "namespace": "x", "generation": 1, "uid": "u"},
        "spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}},
        "status": {},
    }


def replica_set(name, size, available=None, *, created="2026-01-01T00:00:00Z", maximum=None):
    notes = {} if maximum is None else {revisions.MAXIMUM: str(maximum)}
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": notes},
        "spec": {"replicas": size},
        "status": {"availableReplicas": size if available is None else available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (3, "25%", "25%", (1, 0)),
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (3, 0, 0, (0, 1)),
        (3, "0%", "10%", (0, 1)),
        (2, 5, 5, (5, 2)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_surge_rounds_up_and_unavailable_down_and_a_rollout_can_always_move(replicas, surge, unavailable, expected):
    """The fence posts are those that Kubernetes documents."""
    assert arithmetic.fence_posts(deployment(replicas, surge, unavailable)) == expected


def test_the_new_set_grows_into_the_room_that_surge_leaves():
    """3 old pods and surge 1: the new set may have 1."""
    wanted, old, new = deployment(3), replica_set("old", 3), replica_set("new", 0)
    assert arithmetic.new_set_size(wanted, [old, new], new) == 1


def test_old_sets_shrink_only_as_far_as_availability_allows():
    """An available new pod lets one old pod go; an unavailable one lets none go."""
    wanted, old = deployment(3), replica_set("old", 3)
    assert arithmetic.shrink_old(wanted, [old], replica_set("new", 1, 1)) == {"old": 2}
    assert arithmetic.shrink_old(wanted, [old], replica_set("new", 1, 0)) == {}


def test_unhealthy_old_pods_go_before_healthy_ones():
    """Of two old sets the broken one is emptied, although the other is older."""
    wanted = deployment(4)
    older = replica_set("older", 3, 3, created="2026-01-01T00:00:00Z")
    broken = replica_set("broken", 2, 0, created="2026-02-01T00:00:00Z")
    assert arithmetic.shrink_old(wanted, [older, broken], replica_set("new", 0)) == {"broken": 0}


def test_scaling_in_the_middle_of_a_rollout_keeps_the_shares():
    """10 pods in 8+2 scaled to 20 become about 16+4, surge included, and no pod is lost in rounding."""
    wanted = deployment(20, surge=0, unavailable=1)
    sizes = arithmetic.proportional(wanted, [replica_set("a", 8, maximum=10), replica_set("b", 2, maximum=10)])
    assert sizes == {"a": 16, "b": 4}
    odd = arithmetic.proportional(
        deployment(7, surge=0, unavailable=1), [replica_set("a", 3, maximum=5), replica_set("b", 2, maximum=5)]
    )
    assert sum(odd.values()) == 7


def test_templates_are_equal_whatever_their_hash_label():
    """Undo finds a ReplicaSet by its template; the label that the controller added does not count."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main"}]}}
    labelled = {"metadata": {"labels": {"app": "web", revisions.HASH_LABEL: "abc"}}, "spec": template["spec"]}
    assert revisions.same_template(template, labelled)
    assert revisions.template_hash(template) != revisions.template_hash(template, 1)
    assert set(revisions.template_hash(template)) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_a_condition_keeps_its_transition_time_while_its_status_stays():
    """A new reason with the same status is an update, not a transition."""
    status = {
        "conditions": [
            progress.make("Progressing", "True", "NewReplicaSetCreated", "a")
            | {"lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z"}
        ]
    }
    progress.set_condition(status, progress.make("Progressing", "True", "ReplicaSetUpdated", "b"))
    (entry,) = status["conditions"]
    assert entry["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert entry["lastUpdateTime"] > "2026-01-02"


def pod(phase="Running", *, ready=True, node="n", created="2026-01-01T00:00:00Z", restarts=0, cost=None):
    status = "True" if ready else "False"
    conditions = [{"type": "Ready", "status": status, "lastTransitionTime": created}]
    return {
        "metadata": {
            "creationTimestamp": created,
            "annotations": {} if cost is None else {"controller.kubernetes.io/pod-deletion-cost": cost},
        },
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]},
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod(node=""), pod("Pending", ready=False)),
        (pod("Pending", ready=False), pod(ready=False)),
        (pod(ready=False), pod()),
        (pod(cost="-5"), pod()),
        (pod(created="2026-02-01T00:00:00Z"), pod()),
        (pod(restarts=3), pod()),
    ],
)
def test_the_pod_that_is_missed_least_is_deleted_first(first, second):
    """Unassigned, pending, unready, cheap, young and restarted pods go before the others."""
    assert deletion_rank(first) < deletion_rank(second)
