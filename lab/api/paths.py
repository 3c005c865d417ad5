"""Resource paths: from a URL to a row of the table and what is meant within it."""

from __future__ import annotations

from dataclasses import dataclass

from lab.api import errors
from lab.api.resources import Registry, Resource

_OF_NAMESPACES = {"status", "finalize"}


@dataclass(frozen=True)
class Target:
    """What a path names: a collection, an object (``name``), or a subresource of one."""

    row: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def scoped(self) -> bool:
        """Whether a collection is one in which objects can be created: of a namespace, or of a cluster-wide kind."""
        return not self.row.namespaced or bool(self.namespace)


def target(registry: Registry, path: str) -> Target:
    """Parse ``/api/v1/...`` or ``/apis/GROUP/VERSION/...``. Raises 404, in plain text for what is not served at all."""
    parts = [part for part in path.split("/") if part]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise errors.page_not_found()
    if not registry.of_group(group, version):
        raise errors.page_not_found()
    namespace = ""
    if rest[0] == "namespaces" and not _is_namespace(rest):
        namespace, rest = rest[1], rest[2:]
    row = registry.find(group, version, rest[0])
    name, subresource = [*rest[1:], "", ""][:2]
    if row is None and all(one.schema is not None for one in registry.of_group(group, version)):
        raise errors.page_not_found()  # the paths of custom resources come and go one by one
    if row is None or len(rest) > 3 or (namespace and not row.namespaced):
        raise errors.resource_not_found()
    if subresource and subresource not in row.subresources:
        raise errors.resource_not_found()
    if name and row.namespaced and not namespace:
        raise errors.resource_not_found()
    return Target(row, namespace, name, subresource)


def _is_namespace(rest: list[str]) -> bool:
    """Whether ``namespaces/...`` is about a namespace itself and not about what is in it."""
    return len(rest) < 3 or (len(rest) == 3 and rest[2] in _OF_NAMESPACES)
