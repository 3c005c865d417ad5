"""What a request wants, in the words of authorization: a verb on a resource, or on a path that is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.api.errors import ApiError, qualified

_OF_NAMESPACES = {"status", "finalize"}
_OBJECT = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION = {**_OBJECT, "GET": "list", "HEAD": "list", "DELETE": "deletecollection"}
_ONE = "metadata.name="


@dataclass(frozen=True, slots=True)
class Attributes:
    """``path`` is set for what is no resource; then only ``verb`` counts beside it."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """Such as pods or pods/log: how rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def of_request(method: str, path: str, query: Mapping[str, str]) -> Attributes:
    """The attributes of a request, from its path alone: whether it is served does not matter yet."""
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2 and parts[0] == "api":
        group, rest = "", parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, rest = parts[1], parts[3:]
    else:
        return Attributes(method.lower(), path=path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
            rest = rest[2:]
    resource, name, subresource = [*rest, "", ""][:3]
    verb = (_OBJECT if name else _COLLECTION).get(method, method.lower())
    if verb == "list" and query.get("watch") in {"true", "1"}:
        verb = "watch"
    if verb in {"list", "watch", "deletecollection"}:
        name = _named(query.get("fieldSelector", ""))
    return Attributes(verb, group, resource, subresource, namespace, name)


def _named(selector: str) -> str:
    """The one name that a field selector chooses, or ""."""
    names = [part.removeprefix(_ONE).lstrip("=") for part in selector.split(",") if part.startswith(_ONE)]
    return names[0] if names else ""


def refusal(user_name: str, wanted: Attributes, reason: str = "") -> ApiError:
    """403 for what ``user_name`` may not do."""
    why = f": {reason}" if reason else ""
    if wanted.path:
        words = f'forbidden: User "{user_name}" cannot {wanted.verb} path "{wanted.path}"{why}'
        return ApiError(403, "Forbidden", words, details={})
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    subject = qualified(wanted.resource, wanted.group) + (f' "{wanted.name}"' if wanted.name else "")
    words = (
        f'{subject} is forbidden: User "{user_name}" cannot {wanted.verb} resource "{wanted.full_resource}"'
        f' in API group "{wanted.group}" {where}{why}'
    )
    details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
    return ApiError(403, "Forbidden", words, details={key: value for key, value in details.items() if value})
