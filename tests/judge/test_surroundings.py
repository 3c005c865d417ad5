"""Nodes, autoscalers, budgets, Services, Ingresses, events: each judge's FAIL, WARN, PASS and UNKNOWN."""

import dataclasses

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared, autoscaling, disruption, events, nodes, pods, rollout, services
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


def pod(name="a", node="n", ready=True, terminating=False):
    return pods.Pod(
        name=name, created=0.0, terminating=terminating, template_hash="h", phase="Running", reason="", ip="1",
        node=node, conditions={"Ready": "True" if ready else "False"}, containers=(),
    )  # fmt: skip


REPLICAS = (pod("a"), pod("b"), pod("c"))


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
    with pytest.raises(Unknown, match="covers no pod now"):
        disruption.assert_a_drain_is_possible(disruption.budgets([budget(expected=0, healthy=0, needed=0, allowed=0)]))
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


def test_what_was_said_of_a_pod_before_it_was_ready_is_how_pods_start():
    """Its probes fail while it starts; what comes afterwards, or to the second with it, is told apart."""
    judged(complaint(), dataclasses.replace(pod(), ready_since=105.0))
    judged(complaint(), dataclasses.replace(pod(), ready_since=99.0))
    with pytest.warns(SLOWarning, match="BackOff"):
        judged(complaint(), dataclasses.replace(pod(), ready_since=98.0))


def test_old_warnings_and_those_of_pods_that_are_gone_are_history():
    """Fifteen minutes at a scale of 60 are 15 s; a pod's successor is judged by itself."""
    judged(complaint(), pod(ready=False), now=116.0)
    judged(complaint(name="gone"), pod(ready=False))
    judged(complaint(), pod(ready=False, terminating=True))
    with pytest.raises(Undeclared, match="how far back warnings matter"):
        judged((), facts=None)
