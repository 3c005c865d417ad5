"""Nodes, quotas, autoscalers, budgets, Services, Ingresses, events: each judge's FAIL, WARN, PASS and UNKNOWN."""

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared, autoscaling, disruption, events, nodes, pods, quota, rollout, services
from muster.system.expectations import Pods as PodFacts
from muster.verdict import SLOWarning

FACTS = PodFacts(most_restarts=3, restart_window="15m", least_replicas=3, scale_to=7, scale_up_to=10, source="tests")


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


# ---- nodes


def seen(*carrying, total=2):
    return nodes.nodes({"total": total, "nodes": list(carrying)})


def node(name="n", **changes):
    return {
        "name": name,
        "exists": True,
        "cordoned": False,
        "conditions": {"Ready": ["True", "KubeletReady"]},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"conditions": {"Ready": ["Unknown", "NodeStatusUnknown"]}}, "n is not ready: NodeStatusUnknown"),
        ({"conditions": {"Ready": ["False", ""]}}, "n is not ready: False"),
        ({"conditions": {"Ready": ["True", ""], "DiskPressure": ["True", "Full"]}}, "n has DiskPressure: Full"),
        ({"exists": False, "conditions": {}}, "n does not exist any longer"),
    ],
)
def test_a_node_that_is_not_well_is_named_with_its_reason(changes, word):
    """Not ready, not heard of, under pressure and gone are told apart."""
    nodes.assert_nodes_are_well(seen(node()))
    with pytest.raises(AssertionError, match=word):
        nodes.assert_nodes_are_well(seen(node("m"), node(**changes)))


def test_nodes_of_which_nothing_is_known_are_unknown():
    """No pod on any node, or a node without conditions: nothing was judged."""
    with pytest.raises(Unknown, match="no pod of the workload is on a node yet"):
        nodes.assert_nodes_are_well(seen())
    with pytest.raises(Unknown, match="does not say whether it is ready"):
        nodes.assert_nodes_are_well(seen(node(conditions={})))
    with pytest.raises(Unknown, match="no pod of the workload"):
        nodes.assert_no_node_is_cordoned(seen())


def test_a_cordoned_node_warns_and_fails_when_there_is_no_other():
    """Elsewhere replicas can come back; without an elsewhere they cannot."""
    nodes.assert_no_node_is_cordoned(seen(node()))
    with pytest.warns(SLOWarning, match="cordoned and may be drained: n"):
        nodes.assert_no_node_is_cordoned(seen(node(cordoned=True), node("m")))
    with pytest.warns(SLOWarning):  # a third node could take them
        nodes.assert_no_node_is_cordoned(seen(node(cordoned=True), total=2))
    with pytest.raises(AssertionError, match=r"every node is cordoned \(n\)"):
        nodes.assert_no_node_is_cordoned(seen(node(cordoned=True), total=1))


def test_replicas_on_one_of_several_nodes_fail():
    """One node's end would be everybody's; a cluster of one node has nothing to spread over."""
    nodes.assert_replicas_are_spread((pod(), pod("b", "m")), seen(node(), node("m")))
    with pytest.raises(AssertionError, match=r"all 2 replicas run on node n, and the cluster has 5 nodes"):
        nodes.assert_replicas_are_spread((pod(), pod("b")), seen(node(), total=5))
    with pytest.raises(Undeclared, match="nothing to spread"):
        nodes.assert_replicas_are_spread((pod(), pod("b")), seen(node(), total=1))
    with pytest.raises(Unknown, match=r"b is on no node yet"):
        nodes.assert_replicas_are_spread((pod(), pod("b", "")), seen(node()))


# ---- quotas


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
    there = deployment(wanted=wanted, strategy={"type": "RollingUpdate", **strategy})
    assert quota.surge_of(there) == more
    full = limit({"pods": "3"}, {"pods": "3"})
    if more:
        with pytest.raises(AssertionError, match="no room for a rollout or rollback of app"):
            quota.assert_room_to_roll_out(full, there, REPLICAS)
    else:
        quota.assert_room_to_roll_out(full, there, REPLICAS)


# ---- autoscalers, budgets


def scaler(**changes):
    active = {"ScalingActive": ["True", "ValidMetricFound", ""]}
    entry = {"name": "h", "least": 3, "most": 10, "current": 3, "desired": 3, "conditions": active, **changes}
    return autoscaling.autoscalers([entry])


def test_an_autoscaler_at_its_maximum_or_blind_fails():
    """It cannot add a replica, or it does not know whether it should."""
    autoscaling.assert_room_is_left(scaler())
    with pytest.raises(AssertionError, match="h is at its maximum of 10 replicas"):
        autoscaling.assert_room_is_left(scaler(current=9, desired=10))
    blind = {"ScalingActive": ["False", "FailedGetResourceMetric", "no metrics"]}
    with pytest.raises(AssertionError, match="does not scale: FailedGetResourceMetric: no metrics"):
        autoscaling.assert_room_is_left(scaler(conditions=blind))
    with pytest.raises(Unknown, match="does not say yet"):
        autoscaling.assert_room_is_left(scaler(conditions={}))


def test_an_autoscaler_below_the_remedy_undoes_it():
    """Seven by hand become five again within minutes."""
    autoscaling.assert_remedy_stands(scaler(), 7)
    with pytest.raises(AssertionError, match="scaling to 7 replicas is undone by autoscaler h, whose maximum is 5"):
        autoscaling.assert_remedy_stands(scaler(most=5), 7)
    for judge in (autoscaling.assert_room_is_left, lambda none: autoscaling.assert_remedy_stands(none, 7)):
        with pytest.raises(Undeclared, match="no autoscaler scales this deployment"):
            judge(())


def budget(**changes):
    return {"name": "b", "seen": True, "allowed": 1, "expected": 3, "healthy": 3, "needed": 2, **changes}


def test_a_budget_that_lets_no_pod_go_fails_with_its_counts():
    """For now, for want of healthy pods, or for ever; two over the same pods refuse as well."""
    disruption.assert_a_drain_is_possible(disruption.budgets([budget()]))
    with pytest.raises(AssertionError, match=r"2 of 3 pods are healthy and 2 must be.*wait until they are healthy"):
        disruption.assert_a_drain_is_possible(disruption.budgets([budget(allowed=0, healthy=2)]))
    with pytest.raises(AssertionError, match=r"it always wants 3 of 3"):
        disruption.assert_a_drain_is_possible(disruption.budgets([budget(allowed=0, needed=3)]))
    with pytest.raises(AssertionError, match=r"several disruption budgets cover the same pods \(b, c\)"):
        disruption.assert_a_drain_is_possible(disruption.budgets([budget(), budget(name="c")]))
    with pytest.raises(Unknown, match="has not counted its newest spec"):
        disruption.assert_a_drain_is_possible(disruption.budgets([budget(seen=False)]))
    with pytest.warns(SLOWarning, match="no disruption budget covers the pods"):
        disruption.assert_a_drain_is_possible(())


# ---- the way in


SERVICE = {"name": "s", "ports": [{"name": "http", "port": 80}], "ready": ["a", "b", "c"]}
WAY = {"name": "i", "class": "", "host": "h.org", "path": "/", "service": "s", "port": "http", "addresses": ["1.2.3.4"]}


def found(**changes):
    return services.services([{**SERVICE, **changes}])


def test_a_service_that_leaves_out_a_ready_pod_fails():
    """Or selects nobody, or has nobody behind it."""
    judge = services.assert_every_ready_pod_gets_traffic
    judge(found(), REPLICAS)
    with pytest.raises(AssertionError, match="no Service selects the pods"):
        judge((), REPLICAS)
    with pytest.raises(AssertionError, match="Service s leaves out pods that are ready: b, c"):
        judge(found(ready=["a"]), REPLICAS)
    with pytest.raises(AssertionError, match="Service s has no ready endpoint"):
        judge(found(ready=[]), (pod(ready=False),))
    with pytest.raises(Unknown, match="no pod is ready"):
        judge(found(ready=["old"]), (pod(ready=False), pod("b", terminating=True)))


def test_an_ingress_that_leads_nowhere_fails():
    """To a port that is not there, to nobody; an address that is missing warns, no Ingress at all is no claim."""
    judge = services.assert_ingress_leads_somewhere
    judge(services.ways([WAY, {**WAY, "port": 80}]), found())
    with pytest.raises(AssertionError, match=r"Ingress i h\.org/ leads to port web, which Service s does not have"):
        judge(services.ways([{**WAY, "port": "web"}]), found())
    with pytest.raises(AssertionError, match="leads to Service s, which has no ready endpoint"):
        judge(services.ways([WAY]), found(ready=[]))
    with pytest.warns(SLOWarning, match=r"has no address: does a controller serve its class \(none\)"):
        judge(services.ways([{**WAY, "addresses": []}]), found())
    with pytest.raises(Undeclared, match="no Ingress"):
        judge((), found())
    with pytest.raises(Unknown, match="was not read"):
        judge(services.ways([{**WAY, "service": "other"}]), found())


# ---- events


def complaint(**changes):
    entry = {"kind": "Pod", "name": "a", "reason": "BackOff", "message": "restarting", "count": 1, "last": 100.0}
    return events.events([{**entry, **changes}])


def judged(complaints, *replicas, now=110.0, there=None, facts=FACTS):
    events.assert_no_warning_is_open(
        complaints, replicas or REPLICAS, there or deployment(), facts, now=now, time_scale=60
    )


def test_a_warning_about_what_is_still_in_trouble_fails_and_one_that_is_over_warns():
    """The cluster's own words say why; what it is about says whether it still matters."""
    judged(())
    with pytest.raises(AssertionError, match=r"BackOff of Pod a \(7 times, last 10s ago\): restarting"):
        judged(complaint(count=7), pod(ready=False))
    with pytest.warns(SLOWarning, match=r"BackOff of Pod a \(10s ago\): restarting \(over by now\)"):
        judged(complaint())
    refused = complaint(kind="ReplicaSet", name="app-1", reason="FailedCreate", message="exceeded quota")
    with pytest.raises(AssertionError, match=r"FailedCreate of ReplicaSet app-1 .* exceeded quota"):
        judged(refused, there=deployment(ready=2))
    with pytest.warns(SLOWarning, match="FailedCreate"):
        judged(refused)


def test_old_warnings_and_those_of_pods_that_are_gone_are_history():
    """Fifteen minutes at a scale of 60 are 15 s; a pod's successor is judged by itself."""
    judged(complaint(), pod(ready=False), now=116.0)
    judged(complaint(name="gone"), pod(ready=False))
    judged(complaint(), pod(ready=False, terminating=True))
    with pytest.raises(Undeclared, match="how far back warnings matter"):
        judged((), facts=None)
