"""What keeps a pod from running, in the words of the scheduler and the kubelet."""

import pytest


def waiting(world, namespace, name):
    statuses = world.get(namespace, "pods", name).get("status", {}).get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get("waiting", {})


def unschedulable(world, namespace, name):
    conditions = world.get(namespace, "pods", name).get("status", {}).get("conditions") or []
    return next((c["message"] for c in conditions if c.get("reason") == "Unschedulable"), None)


TAIL = " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


def test_an_unknown_image_backs_off_and_is_pulled_once_it_exists(own_world, wait_until):
    """ErrImagePull, then ImagePullBackOff with their events; a new entry in images.yaml heals it."""
    namespace = own_world.namespace()
    own_world.pod(namespace, "early", image="lab.test/new:1")
    wait_until(lambda: waiting(own_world, namespace, "early").get("reason") == "ImagePullBackOff", "the back-off")
    messages = [message for _, message in own_world.events(namespace, "early")]
    wait_until(
        lambda: (
            {"Error: ErrImagePull", "Error: ImagePullBackOff", 'Back-off pulling image "lab.test/new:1"'}
            <= {message for _, message in own_world.events(namespace, "early")}
        ),
        f"the events, beyond {messages}",
    )
    own_world.write_images(**{"lab.test/new": {"tags": ["1"], "pause": True}})
    own_world.wait_ready(namespace, "early")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "nosuch", "key": "k"}}, 'configmap "nosuch" not found'),
        ({"secretKeyRef": {"name": "nosuch", "key": "k"}}, 'secret "nosuch" not found'),
    ],
)
def test_a_missing_reference_is_a_config_error(world, namespace, wait_until, source, message):
    """CreateContainerConfigError with the kubelet's words."""
    world.pod(namespace, "one", image="lab.test/sh:1", args=["sleep 60"], env=[{"name": "A", "valueFrom": source}])
    wait_until(lambda: waiting(world, namespace, "one").get("reason") == "CreateContainerConfigError", "the error")
    assert waiting(world, namespace, "one")["message"] == message
    wait_until(lambda: ("Failed", f"Error: {message}") in world.events(namespace, "one"), "the event")


def test_a_configmap_that_comes_late_lets_the_pod_start(world, namespace, wait_until):
    """The kubelet tries again; nobody has to restart anything."""
    more = {"envFrom": [{"configMapRef": {"name": "late"}}]}
    world.pod(namespace, "one", image="lab.test/sh:1", args=["sleep 60"], **more)
    wait_until(lambda: waiting(world, namespace, "one").get("reason") == "CreateContainerConfigError", "the error")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": namespace}}
    world.kube.post(f"/api/v1/namespaces/{namespace}/configmaps", body)
    world.wait_ready(namespace, "one")


def test_a_program_that_is_not_there_is_a_start_error(own_world, wait_until):
    """Exit code 128, StartError, then the back-off of any crash."""
    namespace = own_world.namespace()
    own_world.write_images(**{"lab.test/none": {"tags": ["1"], "command": ["/nosuch/program"]}})
    own_world.pod(namespace, "one", image="lab.test/none:1")

    def ended():
        statuses = own_world.get(namespace, "pods", "one")["status"].get("containerStatuses") or [{}]
        return statuses[0].get("lastState", {}).get("terminated")

    terminated = wait_until(ended, "its end")
    assert (terminated["exitCode"], terminated["reason"]) == (128, "StartError")
    wait_until(lambda: waiting(own_world, namespace, "one").get("reason") == "CrashLoopBackOff", "the back-off")


def test_requests_beyond_the_node_stay_pending_in_the_schedulers_words(world, namespace, wait_until):
    """Insufficient cpu: an Unschedulable condition and a FailedScheduling event."""
    world.pod(namespace, "big", image="lab.test/pause:1", resources={"requests": {"cpu": "64"}})
    message = wait_until(lambda: unschedulable(world, namespace, "big"), "the condition")
    assert message == "0/1 nodes are available: 1 Insufficient cpu." + TAIL
    wait_until(lambda: ("FailedScheduling", message) in world.events(namespace, "big"), "the event")
    assert world.get(namespace, "pods", "big")["status"]["phase"] == "Pending"


def test_a_cordoned_node_takes_no_pods_until_it_is_uncordoned(own_world, wait_until):
    """Pods wait, and are bound at once when the node is back."""
    namespace = own_world.namespace()
    node = "/api/v1/nodes/lab-node"
    own_world.kube.patch(node, {"spec": {"unschedulable": True}}, kind="application/merge-patch+json")
    own_world.pod(namespace, "one", image="lab.test/pause:1")
    message = wait_until(lambda: unschedulable(own_world, namespace, "one"), "the condition")
    assert message == "0/1 nodes are available: 1 node(s) were unschedulable." + TAIL
    own_world.kube.patch(node, {"spec": {"unschedulable": None}}, kind="application/merge-patch+json")
    own_world.wait_ready(namespace, "one")
    wait_until(
        lambda: (
            ("Scheduled", f"Successfully assigned {namespace}/one to lab-node") in own_world.events(namespace, "one")
        ),
        "the event",
    )


def test_a_pod_that_would_fit_an_empty_node_is_told_that_nobody_makes_room(own_world, wait_until):
    """Memory that others have taken: another sentence than for a pod that is larger than the node."""
    namespace = own_world.namespace()
    capacity = own_world.kube.get("/api/v1/nodes/lab-node")["status"]["allocatable"]
    most = {"requests": {"memory": f"{int(capacity['memory'].removesuffix('Ki')) * 3 // 5}Ki"}}
    own_world.pod(namespace, "first", image="lab.test/pause:1", resources=most)
    own_world.wait_ready(namespace, "first")
    own_world.pod(namespace, "second", image="lab.test/pause:1", resources=most)
    message = wait_until(lambda: unschedulable(own_world, namespace, "second"), "the condition")
    assert message == "0/1 nodes are available: 1 Insufficient memory." + TAIL.replace(
        "Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"
    )
    own_world.delete(namespace, "pods", "first", gracePeriodSeconds=0)
    own_world.wait_ready(namespace, "second")


def test_taints_and_selectors_keep_pods_away_until_they_are_tolerated(own_world, wait_until):
    """Each in the scheduler's words; a toleration of the taint lets a pod through."""
    namespace, node = own_world.namespace(), "/api/v1/nodes/lab-node"
    own_world.pod(namespace, "picky", pod={"nodeSelector": {"disk": "fast"}}, image="lab.test/pause:1")
    message = wait_until(lambda: unschedulable(own_world, namespace, "picky"), "the condition")
    assert message == "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." + TAIL
    taint = {"key": "maintenance", "value": "yes", "effect": "NoSchedule"}
    own_world.kube.patch(node, {"spec": {"taints": [taint]}}, kind="application/merge-patch+json")
    own_world.pod(namespace, "one", image="lab.test/pause:1")
    message = wait_until(lambda: unschedulable(own_world, namespace, "one"), "the condition")
    assert message == "0/1 nodes are available: 1 node(s) had untolerated taint(s)." + TAIL
    tolerant = {"tolerations": [{"key": "maintenance", "operator": "Exists"}]}
    own_world.pod(namespace, "tolerant", pod=tolerant, image="lab.test/pause:1")
    own_world.wait_ready(namespace, "tolerant")
