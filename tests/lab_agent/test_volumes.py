"""Volumes and service accounts: folders that a program finds by its environment."""

import base64
import json
import ssl
from pathlib import Path

import httpx
import pytest


def write(world, namespace, kind, name, **fields):
    meta = {"name": name, "namespace": namespace}
    plural = {"ConfigMap": "configmaps", "Secret": "secrets"}[kind]
    body = {"apiVersion": "v1", "kind": kind, "metadata": meta} | fields
    world.kube.post(f"/api/v1/namespaces/{namespace}/{plural}", body)


def folder_of(world, namespace, name):
    return next((world.state / "pods").glob(f"{namespace}_{name}_*"))


def test_volumes_are_folders_that_the_program_is_told_of(world, namespace, serving):
    """Configmaps, secrets, projections of both, the downward API, and an empty folder to write into."""
    write(world, namespace, "ConfigMap", "settings", data={"colour": "red", "taste": "sweet"})
    write(world, namespace, "Secret", "keys", data={"key": base64.b64encode(b"\xffhidden").decode()})
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "web-config", "configMap": {"name": "settings", "items": [{"key": "colour", "path": "a/colour.txt"}]}},
        {"name": "keys", "secret": {"secretName": "keys"}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"configMap": {"name": "settings"}},
                    {"secret": {"name": "nosuch", "optional": True}},
                    {"serviceAccountToken": {"path": "token", "audience": "vault"}},
                    {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ]
            },
        },
    ]
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}}]
    more = {"env": env, "envFrom": [{"secretRef": {"name": "keys"}, "prefix": "S_"}]}
    world.pod(namespace, "one", pod={"volumes": volumes}, **serving, **more)
    told = json.loads(world.asks(world.wait_ready(namespace, "one"), "/env"))
    place = folder_of(world, namespace, "one") / "volumes"
    assert told["LAB_VOLUME_WEB_CONFIG"] == str(place / "web-config")
    assert told["S_key"] == told["KEY"]
    assert told["KEY"].endswith("hidden")
    files = {str(path.relative_to(place)): path for path in place.rglob("*") if path.is_file()}
    token = files.pop("all/token").read_text()
    content = {name: path.read_bytes() for name, path in files.items()}
    assert content == {
        "web-config/a/colour.txt": b"red",
        "keys/key": b"\xffhidden",
        "all/colour": b"red",
        "all/taste": b"sweet",
        "all/name": b"one",
    }
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["aud"] == ["vault"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files.values())


def test_a_pods_account_is_its_own_and_can_do_what_its_roles_say(world, namespace, serving):
    """The token in the account's folder is the pod's, not an administrator's."""
    world.pod(namespace, "one", **serving)
    pod = world.wait_ready(namespace, "one")
    account = Path(json.loads(world.asks(pod, "/env"))["SERVICEACCOUNT_ROOT"])
    token = (account / "token").read_text()
    assert (account / "namespace").read_text() == namespace
    where = f"{world.kube.server}/api/v1/namespaces/{namespace}/pods"
    with httpx.Client(verify=ssl.create_default_context(cafile=account / "ca.crt"), trust_env=False) as client:
        answer = client.get(where, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert f'User "system:serviceaccount:{namespace}:default" cannot list' in answer.json()["message"]


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ({"configMap": {"name": "late"}}, 'MountVolume.SetUp failed for volume "v" : configmap "late" not found'),
        ({"hostPath": {"path": "/"}}, 'MountVolume.SetUp failed for volume "v" : hostPath is not known here'),
    ],
)
def test_a_volume_that_cannot_be_filled_holds_the_container_back(world, namespace, serving, wait_until, volume, said):
    """The pod stays in ContainerCreating with an event that says why; it starts as soon as the content is there."""
    world.pod(namespace, "one", pod={"volumes": [{"name": "v", **volume}]}, **serving)
    wait_until(
        lambda: any(r == "FailedMount" and m.startswith(said) for r, m in world.events(namespace, "one")), "the event"
    )
    state = world.get(namespace, "pods", "one")["status"]["containerStatuses"][0]["state"]
    assert state == {"waiting": {"reason": "ContainerCreating"}}
    if "configMap" in volume:
        write(world, namespace, "ConfigMap", "late", data={})
        world.wait_ready(namespace, "one")
