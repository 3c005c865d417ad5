"""Applies the lab's manifests: what is deployed when a lab comes up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab.errors import ApiError, LabError

if TYPE_CHECKING:
    from lab.client import Client
    from lab.resources import Resource


def read(folder: Path, plan: dict[str, str]) -> list[dict[str, Any]]:
    """The objects of ``*.yaml`` in the order of file names, with ``${key}`` filled in from the plan.

    Raises :class:`LabError` that names the file: not YAML, an unknown ``${key}``, not an object with kind and name.
    """
    objects: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            # Only ${key}: $(NAME) is Kubernetes' own, for the environment of a container.
            text = re.sub(r"\$\{(\w+)\}", lambda match: plan[match[1]], path.read_text())
            documents = [*yaml.safe_load_all(text)]
        except KeyError as error:
            raise LabError(
                f"manifest {path.name} asks for ${{{error.args[0]}}}, which the lab's plan does not hold"
            ) from None
        except (yaml.YAMLError, ValueError) as error:
            raise LabError(f"manifest {path.name} cannot be read: {' '.join(str(error).split())}") from None
        objects += [_checked(document, path) for document in documents if document is not None]
    return objects


def _checked(document: Any, path: Path) -> dict[str, Any]:
    try:
        if document["apiVersion"] and document["kind"] and document["metadata"]["name"]:
            return dict(document)
    except (TypeError, KeyError):
        pass
    raise LabError(f"manifest {path.name} holds something without apiVersion, kind and metadata.name")


async def apply(client: Client, objects: list[dict[str, Any]]) -> None:
    """Create each object in turn, or patch the one that is there. Raises :class:`LabError` that names the object."""
    for body in objects:
        resource = _resource(body)
        meta = body["metadata"]
        try:
            await _apply_one(client, resource, body)
        except ApiError as error:
            raise LabError(f"the API refused {body['kind']} {meta['name']} of the manifests: {error}") from None


async def _apply_one(client: Client, resource: Resource, body: dict[str, Any]) -> None:
    from lab.client import STRATEGIC

    meta = body["metadata"]
    try:
        await client.create(resource, body)
    except ApiError as error:
        if not error.already_exists:
            raise
        await client.patch(resource, meta.get("namespace"), meta["name"], body, kind=STRATEGIC)


def _resource(body: dict[str, Any]) -> Resource:
    from lab import resources

    known = [value for value in vars(resources).values() if isinstance(value, resources.Resource)]
    for resource in known:
        if (resource.api_version, resource.kind) == (body["apiVersion"], body["kind"]):
            return resource
    raise LabError(f"the lab's manifests hold a {body['apiVersion']} {body['kind']}, which lab/client.py does not know")
