"""Deployments move to a new template as they do on a cluster."""

import asyncio

from lab.client import Client
from lab.objects import condition, epoch
from lab.resources import DEPLOYMENTS, PODS, REPLICASETS

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"


def reasons(deployment):
    return {c["type"]: (c["status"], c["reason"]) for c in deployment["status"]["conditions"]}


def sets_by_revision(world, namespace):
    return {int(rs["metadata"]["annotations"][REVISION]): rs for rs in world.items(namespace, "replicasets")}


def test_a_rolling_update_never_has_fewer_available_pods_than_it_may(world, namespace, serving):
    """With 25% of 3 unavailable (rounded down: none), all 3 stay available, and its sets never ask for more than 4."""
    world.deployment(namespace, container=serving)
    version = world.wait_rolled_out(namespace)["metadata"]["resourceVersion"]
    (old,) = world.items(namespace, "replicasets")
    world.set_image(namespace, "lab.test/web:2")

    async def available(client):
        seen = []
        async for kind, item in client.watch(DEPLOYMENTS, namespace, resource_version=version, timeout_s=60):
            if kind != "BOOKMARK":
                seen.append(item["status"].get("availableReplicas", 0))
                if reasons(item)["Progressing"][1] == "NewReplicaSetAvailable" and len(seen) > 2:
                    break
        return seen

    async def asked_for(client):  # each set counts its pods in its own time: the sum of their counts may be anything
        seen, sizes = [], {old["metadata"]["name"]: 3}
        async for kind, item in client.watch(REPLICASETS, namespace, resource_version=version, timeout_s=60):
            if kind != "BOOKMARK":
                sizes[item["metadata"]["name"]] = item["spec"]["replicas"]
                seen.append(sum(sizes.values()))
                if sorted(sizes.values()) == [0, 3]:
                    break
        return seen

    async def observe():
        async with Client.from_kubeconfig(world.state / "kubeconfig") as client, asyncio.timeout(60):
            return await asyncio.gather(available(client), asked_for(client))

    at_hand, wanted = asyncio.run(observe())
    assert min(at_hand) == 3
    assert max(wanted) == 4
    assert [
        p["spec"]["containers"][0]["image"]
        for p in world.items(namespace, "pods")
        if not p["metadata"].get("deletionTimestamp")
    ] == ["lab.test/web:2"] * 3


def test_conditions_and_events_tell_the_story_of_a_rollout(world, namespace, wait_until):
    """Available and Progressing carry Kubernetes' own reasons; scalings are events."""
    world.deployment(namespace)
    deployment = world.wait_rolled_out(namespace)
    assert reasons(deployment) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    name = world.items(namespace, "replicasets")[0]["metadata"]["name"]
    said = wait_until(lambda: world.events(namespace, "web"), "an event")
    assert said == [("ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 3")]


def test_undo_finds_the_old_replica_set_and_renumbers_it(world, namespace):
    """The template of revision 1 again makes the same ReplicaSet revision 3, and 1 goes into its history."""
    world.deployment(namespace)
    world.wait_rolled_out(namespace)
    old = sets_by_revision(world, namespace)[1]["metadata"]["name"]
    world.set_image(namespace, "lab.test/pause:2")
    world.wait_rolled_out(namespace)
    world.set_image(namespace, "lab.test/pause:1")
    deployment = world.wait_rolled_out(namespace)
    sets = sets_by_revision(world, namespace)
    assert sorted(sets) == [2, 3]
    assert sets[3]["metadata"]["name"] == old
    assert sets[3]["metadata"]["annotations"][HISTORY] == "1"
    assert deployment["metadata"]["annotations"][REVISION] == "3"


def test_change_cause_is_remembered_with_its_revision(world, namespace, wait_until):
    """The deployment's change-cause annotation is copied to the ReplicaSet of its template."""
    world.deployment(namespace, replicas=1)
    world.wait_rolled_out(namespace)
    note = {"metadata": {"annotations": {"kubernetes.io/change-cause": "first light"}}}
    world.patch(namespace, "deployments", "web", note)
    wait_until(
        lambda: (
            [
                rs["metadata"]["annotations"].get("kubernetes.io/change-cause")
                for rs in world.items(namespace, "replicasets")
            ]
            == ["first light"]
        ),
        "the annotation to be copied",
    )


def test_a_bad_image_gets_stuck_and_says_so_while_the_old_pods_serve(world, namespace, serving, wait_until):
    """ProgressDeadlineExceeded after the deadline; Available stays True with all old pods."""
    world.deployment(namespace, container=serving, progressDeadlineSeconds=1)
    world.wait_rolled_out(namespace)
    world.set_image(namespace, "lab.test/web:missing")
    stuck = wait_until(
        lambda: (
            (d := world.get(namespace, "deployments", "web"))
            and reasons(d)["Progressing"] == ("False", "ProgressDeadlineExceeded")
            and d
        ),
        "the deadline to pass",
    )
    assert reasons(stuck)["Available"] == ("True", "MinimumReplicasAvailable")
    assert stuck["status"]["availableReplicas"] == 3
    assert stuck["status"]["unavailableReplicas"] == 1
    world.set_image(namespace, "lab.test/web:1")
    assert reasons(world.wait_rolled_out(namespace))["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_a_paused_deployment_rolls_out_only_when_resumed(world, namespace, wait_until):
    """While paused a new template makes no pods; resuming rolls it out."""
    world.deployment(namespace, replicas=1)
    world.wait_rolled_out(namespace)
    world.patch(namespace, "deployments", "web", {"spec": {"paused": True}})
    wait_until(
        lambda: reasons(world.get(namespace, "deployments", "web"))["Progressing"] == ("Unknown", "DeploymentPaused"),
        "the pause to be noted",
    )
    world.set_image(namespace, "lab.test/pause:2")
    wait_until(
        lambda: world.get(namespace, "deployments", "web")["status"]["observedGeneration"] == 3, "the change to be seen"
    )
    assert len(world.items(namespace, "replicasets")) == 1
    world.patch(namespace, "deployments", "web", {"spec": {"paused": None}})
    world.wait_rolled_out(namespace)
    assert len(world.items(namespace, "replicasets")) == 2


def test_recreate_starts_new_pods_only_when_the_old_are_gone(world, namespace):
    """With the Recreate strategy no moment has programs of both templates.

    A pod that has ended (Succeeded, Failed) no longer counts, also while its object still waits to be deleted: so does
    Kubernetes' own controller, and which of the two comes first depends on how busy the machine is.
    """
    world.deployment(namespace, replicas=2, strategy={"type": "Recreate"})
    world.wait_rolled_out(namespace)

    async def observe():
        mixed, pods = [], {}
        async with Client.from_kubeconfig(world.state / "kubeconfig") as client, asyncio.timeout(60):
            listed = await client.list(PODS, namespace)
            pods = {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in listed["items"]}
            world.set_image(namespace, "lab.test/pause:2")
            version = listed["metadata"]["resourceVersion"]
            async for kind, item in client.watch(PODS, namespace, resource_version=version, timeout_s=60):
                if kind == "BOOKMARK":
                    continue
                pods[item["metadata"]["name"]] = item["spec"]["containers"][0]["image"]
                if kind == "DELETED" or item["status"]["phase"] in ("Succeeded", "Failed"):
                    pods.pop(item["metadata"]["name"])
                mixed.append(set(pods.values()))
                if list(pods.values()) == ["lab.test/pause:2"] * 2:
                    return mixed
        return mixed

    assert all(len(images) < 2 for images in asyncio.run(observe()))
    world.wait_rolled_out(namespace)


def test_only_as_many_old_revisions_are_kept_as_asked_for(world, namespace, wait_until):
    """A revisionHistoryLimit of 1 leaves one empty ReplicaSet beside the present one."""
    world.deployment(namespace, replicas=1, revisionHistoryLimit=1)
    for tag in ("2", "3", "4"):
        world.wait_rolled_out(namespace)
        world.set_image(namespace, f"lab.test/pause:{tag}")
    world.wait_rolled_out(namespace)
    wait_until(lambda: sorted(sets_by_revision(world, namespace)) == [3, 4], "old ReplicaSets to be cleaned up")


def test_min_ready_seconds_delays_availability(world, namespace):
    """A ready pod is available only after minReadySeconds, and then by itself."""
    world.deployment(namespace, replicas=1, minReadySeconds=5)
    deployment = world.wait_rolled_out(namespace)
    (pod,) = world.items(namespace, "pods")
    available, ready = condition(deployment, "Available"), condition(pod, "Ready")
    assert epoch(available["lastTransitionTime"]) - epoch(ready["lastTransitionTime"]) >= 5


def test_scaling_up_and_down_changes_no_revision(world, namespace):
    """Another size is the same ReplicaSet with another size."""
    world.deployment(namespace, replicas=1)
    world.wait_rolled_out(namespace)
    for replicas in (5, 2, 0):
        world.patch(namespace, "deployments", "web", {"spec": {"replicas": replicas}})
        deployment = world.wait_rolled_out(namespace)
        assert deployment["metadata"]["annotations"][REVISION] == "1"
    assert len(world.items(namespace, "replicasets")) == 1
