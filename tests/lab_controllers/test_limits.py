"""Quotas, disruption budgets and autoscalers at work: counted, obeyed, and said in Kubernetes' own words."""

import subprocess

import pytest

from muster.kube import KubeError


def conditions(item):
    return {c["type"]: (c["status"], c["reason"]) for c in item.get("status", {}).get("conditions") or []}


def test_a_quota_counts_what_its_namespace_uses(world, namespace, wait_until):
    """Pods, requests and limits follow the pods; what is not counted here is not claimed to be."""
    hard = {"pods": "5", "requests.cpu": "2", "limits.memory": "1Gi", "count/deployments.apps": "3", "cpu": "2"}
    world.create(namespace, "resourcequotas", "q", {"hard": hard})
    resources = {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi", "cpu": "1"}}
    world.deployment(namespace, replicas=3, container={"resources": resources})
    world.wait_rolled_out(namespace)

    def used():
        return world.get(namespace, "resourcequotas", "q")["status"].get("used")

    busy = {"pods": "3", "requests.cpu": "750m", "limits.memory": "192Mi", "count/deployments.apps": "1", "cpu": "750m"}
    wait_until(lambda: used() == busy, "the usage of three pods")
    world.patch(namespace, "deployments", "web", {"spec": {"replicas": 1}})
    wait_until(lambda: used()["requests.cpu"] == "250m", "the usage of one pod")
    assert world.get(namespace, "resourcequotas", "q")["status"]["hard"] == hard


def test_a_rollout_that_a_quota_stops_says_why(world, namespace, wait_until):
    """FailedCreate events and ReplicaFailure carry the refusal; without the quota the rollout ends."""
    world.deployment(namespace, replicas=3)
    world.wait_rolled_out(namespace)
    world.create(namespace, "resourcequotas", "q", {"hard": {"pods": "1"}})
    world.set_image(namespace, "lab.test/pause:2")
    stuck = wait_until(
        lambda: d if "ReplicaFailure" in conditions(d := world.get(namespace, "deployments", "web")) else None,
        "ReplicaFailure",
    )
    assert conditions(stuck) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetCreated"),
        "ReplicaFailure": ("True", "FailedCreate"),
    }
    failure = next(c["message"] for c in stuck["status"]["conditions"] if c["type"] == "ReplicaFailure")
    assert failure.startswith('pods "web-')
    assert failure.endswith("is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=1")
    assert (stuck["status"]["readyReplicas"], stuck["status"]["unavailableReplicas"]) == (3, 1)
    new = next(rs["metadata"]["name"] for rs in world.items(namespace, "replicasets") if not rs["status"]["replicas"])
    (reason, message) = wait_until(lambda: world.events(namespace, new), "an event")[0]
    assert (reason, message.partition('"')[0]) == ("FailedCreate", "Error creating: pods ")
    world.delete(namespace, "resourcequotas", "q")
    assert "ReplicaFailure" not in conditions(world.wait_rolled_out(namespace))


def test_a_budget_allows_what_it_can_spare_and_eviction_obeys(world, namespace, wait_until):
    """Of three pods with two that must remain one may go; the next eviction is refused with 429."""
    world.deployment(namespace, replicas=3)
    world.wait_rolled_out(namespace)
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    world.create(namespace, "poddisruptionbudgets", "web", spec)

    def status():
        return world.get(namespace, "poddisruptionbudgets", "web").get("status", {})

    counts = ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
    wait_until(lambda: [status().get(name) for name in counts] == [3, 3, 2, 1], "the budget to be counted")
    assert conditions({"status": status()}) == {"DisruptionAllowed": ("True", "SufficientPods")}
    world.patch(namespace, "deployments", "web", {"spec": {"replicas": 2}})
    wait_until(lambda: status()["disruptionsAllowed"] == 0, "nothing to be left to spare")
    assert conditions({"status": status()}) == {"DisruptionAllowed": ("False", "InsufficientPods")}
    pods = [p["metadata"]["name"] for p in world.items(namespace, "pods") if not p["metadata"].get("deletionTimestamp")]
    body = {"metadata": {"name": pods[0], "namespace": namespace}}
    with pytest.raises(KubeError) as refused:
        world.kube.post(f"/api/v1/namespaces/{namespace}/pods/{pods[0]}/eviction", body)
    assert refused.value.status == 429


def scaler(world, namespace, **spec):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    world.create(namespace, "horizontalpodautoscalers", "web", {"scaleTargetRef": target, "maxReplicas": 3} | spec)

    def read():
        return world.get(namespace, "horizontalpodautoscalers", "web")

    return read


def test_an_autoscaler_without_metrics_says_so_and_changes_nothing(world, namespace, wait_until):
    """<unknown>, FailedGetResourceMetric in condition and event, and the size stays."""
    world.deployment(namespace, replicas=2, container={"resources": {"requests": {"cpu": "100m"}}})
    world.wait_rolled_out(namespace)
    read = scaler(world, namespace, minReplicas=1)
    blind = wait_until(lambda: item if "ScalingActive" in conditions(item := read()) else None, "a first look")
    assert conditions(blind) == {
        "AbleToScale": ("True", "SucceededGetScale"),
        "ScalingActive": ("False", "FailedGetResourceMetric"),
    }
    status = blind["status"]
    assert (status["currentReplicas"], status["desiredReplicas"], status["currentMetrics"]) == (2, 0, [{"type": ""}])
    told = wait_until(lambda: dict(world.events(namespace, "web")).get("FailedComputeMetricsReplicas"), "an event")
    start = "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: "
    assert told.startswith(f"{start}failed to get cpu utilization: unable to get metrics for resource cpu: ")
    assert world.get(namespace, "deployments", "web")["spec"]["replicas"] == 2


def test_an_autoscaler_keeps_the_size_within_its_bounds_whatever_the_metrics(world, namespace, wait_until):
    """Fewer than minReplicas are scaled up without looking at a metric; a target that is gone is named."""
    world.deployment(namespace, replicas=1)
    world.wait_rolled_out(namespace)
    read = scaler(world, namespace, minReplicas=2)
    wait_until(lambda: world.get(namespace, "deployments", "web")["spec"]["replicas"] == 2, "two replicas")
    events = wait_until(lambda: [e for e in world.events(namespace, "web") if e[0] == "SuccessfulRescale"], "an event")
    assert events == [("SuccessfulRescale", "New size: 2; reason: Current number of replicas below Spec.MinReplicas")]
    world.delete(namespace, "deployments", "web")
    wait_until(lambda: conditions(read()).get("AbleToScale") == ("False", "FailedGetScale"), "the loss to be noted")


BURN = {"image": "lab.test/sh:1", "args": ["while :; do :; done"]}


def test_an_autoscaler_follows_the_cpu_that_pods_really_burn(world, namespace, wait_until):
    """A pod that burns far over its request makes the autoscaler go to its maximum."""
    burning = BURN | {"resources": {"requests": {"cpu": "50m"}}}
    world.deployment(namespace, replicas=1, container=burning)
    read = scaler(world, namespace, maxReplicas=2)
    wait_until(lambda: world.get(namespace, "deployments", "web")["spec"]["replicas"] == 2, "a second replica", 60)
    limited = ("True", "TooManyReplicas")
    # Not at once: the second replica burns nothing yet when it is first counted.
    wait_until(lambda: conditions(read()).get("ScalingLimited") == limited, "the maximum to be the limit", 60)
    held = read()
    assert conditions(held)["ScalingActive"] == ("True", "ValidMetricFound")
    assert held["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] > 80
    config = str(world.state / "kubeconfig")
    shown = subprocess.run(
        ["kubectl", "--kubeconfig", config, "-n", namespace, "describe", "hpa", "web"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "SucceededRescale" in shown.stdout or "ReadyForNewScale" in shown.stdout
