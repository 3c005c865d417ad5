"""PodChaos: pods deleted, failed and their containers killed."""

from __future__ import annotations

import json
import signal
from typing import Any

from lab.chaos.stress import Find, running
from lab.client import MERGE, STRATEGIC, Client
from lab.errors import ApiError
from lab.objects import annotations_of
from lab.resources import PODS

Object = dict[str, Any]


async def kill(client: Client, target: str, grace_s: int) -> None:
    """Delete a pod; one that is gone already is as dead as it can be."""
    namespace, name = target.split("/")
    try:
        await client.delete(PODS, namespace, name, grace_s=grace_s)
    except ApiError as error:
        if not error.not_found:
            raise


def kill_container(find: Find, target: str) -> None:
    """SIGKILL a container's program. Raises :class:`lab.errors.LabError` when it does not run."""
    running(find, target)[1].signal(signal.SIGKILL)


async def fail(client: Client, uid: str, target: str, pause: str) -> None:
    """Give every container an image that does nothing; what it had stands in an annotation, in the same write."""
    namespace, name = target.split("/")
    pod = await client.get(PODS, namespace, name)
    images = {each["name"]: each["image"] for each in pod["spec"]["containers"] if each["image"] != pause}
    if _note(uid) not in annotations_of(pod):
        containers = [{"name": container, "image": pause} for container in images]
        await _change(client, namespace, name, {_note(uid): json.dumps(images)}, containers)


async def heal(client: Client, uid: str, target: str) -> None:
    """Give the images back that :func:`fail` took; a pod that is gone needs none."""
    namespace, name = target.split("/")
    try:
        pod = await client.get(PODS, namespace, name)
        text = annotations_of(pod).get(_note(uid))
        if text is not None:
            containers = [{"name": each, "image": image} for each, image in json.loads(text).items()]
            await _change(client, namespace, name, {_note(uid): None}, containers)
    except ApiError as error:
        if not error.not_found:
            raise


async def _change(
    client: Client, namespace: str, name: str, annotations: dict[str, str | None], containers: list[Object]
) -> None:
    patch: Object = {"metadata": {"annotations": annotations}}
    patch |= {"spec": {"containers": containers}} if containers else {}
    await client.patch(PODS, namespace, name, patch, kind=STRATEGIC if containers else MERGE)


def _note(uid: str) -> str:
    return f"chaos-mesh.org/images-{uid[:8]}"
