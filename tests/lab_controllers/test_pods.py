"""ReplicaSets keep their number of pods; endpoints show the ready ones; the garbage collector cleans up."""

import pytest

from muster.kube import KubeError


def live(pods):
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def test_a_deleted_pod_is_replaced(world, namespace, wait_until):
    """The ReplicaSet makes another pod of another name at once."""
    world.deployment(namespace)
    world.wait_rolled_out(namespace)
    victim = world.items(namespace, "pods")[0]["metadata"]["name"]
    world.delete(namespace, "pods", victim)
    wait_until(
        lambda: (
            victim not in (names := {p["metadata"]["name"] for p in world.items(namespace, "pods")}) and len(names) == 3
        ),
        "a replacement",
    )
    name = world.items(namespace, "replicasets")[0]["metadata"]["name"]
    wait_until(
        lambda: sum(reason == "SuccessfulCreate" for reason, _ in world.events(namespace, name)) == 4,
        "four SuccessfulCreate events",
    )


def test_an_orphan_that_matches_is_adopted_and_an_owned_pod_that_no_longer_matches_is_released(
    world, namespace, wait_until
):
    """Labels decide who belongs to a ReplicaSet, before and after its creation."""
    world.deployment(namespace, replicas=1)
    world.wait_rolled_out(namespace)
    pod = world.items(namespace, "pods")[0]["metadata"]["name"]
    world.patch(namespace, "pods", pod, {"metadata": {"labels": {"app": "elsewhere"}}})
    wait_until(lambda: not world.get(namespace, "pods", pod)["metadata"].get("ownerReferences"), "its release")
    wait_until(lambda: len(world.items(namespace, "pods", "app=web")) == 1, "a replacement")
    world.patch(namespace, "pods", pod, {"metadata": {"labels": {"app": "web"}}})
    wait_until(lambda: len(live(world.items(namespace, "pods"))) == 1, "one of two to go")


def ready_addresses(world, namespace):
    subsets = world.get(namespace, "endpoints", "web").get("subsets") or []
    return {a["ip"] for subset in subsets for a in subset.get("addresses") or []}


def test_endpoints_hold_ready_pods_only(world, namespace, serving, wait_until):
    """A pod that turns unready leaves Endpoints and its slice says so; it comes back when it is ready again."""
    world.service(namespace)
    world.deployment(namespace, replicas=2, container=serving)
    world.wait_rolled_out(namespace)
    pods = {p["status"]["podIP"]: p for p in world.items(namespace, "pods")}
    wait_until(lambda: ready_addresses(world, namespace) == set(pods), "both pods in Endpoints")
    ip = min(pods)
    pod = pods[ip]
    world.asks(pod, "/set/ready=no")
    wait_until(lambda: ready_addresses(world, namespace) == set(pods) - {ip}, "the unready pod to leave")

    def served():
        (slice_,) = world.items(namespace, "endpointslices", "kubernetes.io/service-name=web")
        ready = {e["addresses"][0]: e["conditions"]["ready"] for e in slice_["endpoints"]}
        return slice_ if ready == {address: address != ip for address in pods} else None

    slice_ = wait_until(served, "the slice to say so")
    assert slice_["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    world.asks(pod, "/set/ready=yes")
    wait_until(lambda: ready_addresses(world, namespace) == set(pods), "the pod to come back")


def test_endpoints_go_with_their_service(world, namespace, wait_until):
    """Deleting a Service removes Endpoints and slices."""
    world.service(namespace)
    wait_until(lambda: world.items(namespace, "endpointslices"), "a slice")
    world.delete(namespace, "services", "web")
    wait_until(
        lambda: not world.items(namespace, "endpointslices") and not world.items(namespace, "endpoints"), "their end"
    )


def test_deleting_a_deployment_takes_its_replica_sets_and_pods(world, namespace, wait_until):
    """Background deletion cascades through owner references."""
    world.deployment(namespace)
    world.wait_rolled_out(namespace)
    world.delete(namespace, "deployments", "web")
    wait_until(
        lambda: not world.items(namespace, "replicasets") and not world.items(namespace, "pods"), "nothing to be left"
    )


def test_foreground_deletion_keeps_the_owner_until_its_dependents_are_gone(world, namespace, wait_until):
    """The deployment stays, marked, while a pod takes its time to end."""
    deaf = {"image": "lab.test/sh:1", "args": ["trap '' TERM; sleep 60"]}
    world.deployment(namespace, replicas=1, container=deaf, pod={"terminationGracePeriodSeconds": 5})
    world.wait_rolled_out(namespace)
    world.delete(namespace, "deployments", "web", propagationPolicy="Foreground")
    owner = world.get(namespace, "deployments", "web")
    assert owner["metadata"]["finalizers"] == ["foregroundDeletion"]

    def gone():
        try:
            world.get(namespace, "deployments", "web")
        except KubeError as error:
            return error.status == 404 and not world.items(namespace, "pods")
        return False

    wait_until(gone, "the owner to go last")


def test_orphan_deletion_leaves_the_dependents_without_owner(world, namespace, wait_until):
    """--cascade=orphan removes the deployment and keeps the ReplicaSet and its pods."""
    world.deployment(namespace, replicas=2)
    world.wait_rolled_out(namespace)
    world.delete(namespace, "deployments", "web", propagationPolicy="Orphan")
    wait_until(lambda: not world.items(namespace, "deployments"), "the deployment to go")
    (kept,) = world.items(namespace, "replicasets")
    assert not kept["metadata"].get("ownerReferences")
    assert len(live(world.items(namespace, "pods"))) == 2


def test_controllers_go_on_after_the_api_was_away(own_world, wait_until):
    """The API is stopped and started: pods deleted afterwards are replaced without a restart of anything else."""
    namespace = own_world.namespace()
    own_world.deployment(namespace)
    own_world.wait_rolled_out(namespace)
    own_world.stop("api")
    own_world.start("api")
    victim = own_world.items(namespace, "pods")[0]["metadata"]["name"]
    own_world.delete(namespace, "pods", victim)
    wait_until(
        lambda: victim not in {p["metadata"]["name"] for p in own_world.items(namespace, "pods")}, "the pod to go"
    )
    own_world.wait_rolled_out(namespace)


@pytest.mark.parametrize("replicas", [0, 40])
def test_any_number_of_pods_is_reached(world, namespace, replicas):
    """None, and more than one batch."""
    world.deployment(namespace, replicas=replicas)
    world.wait_rolled_out(namespace, timeout_s=60)
    assert len(world.items(namespace, "pods")) == replicas


def test_objects_of_kinds_that_clients_bring_along_are_collected_too(world, namespace, wait_until):
    """A custom object goes with its owner, though its kind was defined after the controllers started."""
    group = f"g{namespace}.example.org"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }  # fmt: skip
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    world.kube.post(definitions, {"metadata": {"name": f"things.{group}"}, "spec": spec})
    owner = world.kube.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    things = f"/apis/{group}/v1/namespaces/{namespace}/things"
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "t", "ownerReferences": [reference]}}
    wait_until(lambda: world.kube.post(things, thing), "the kind to be served")
    world.delete(namespace, "configmaps", "owner")
    wait_until(lambda: not world.kube.get(things)["items"], "the thing to go with its owner")
    world.kube.delete(f"{definitions}/things.{group}", {})
