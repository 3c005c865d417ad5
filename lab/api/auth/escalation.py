"""Nobody hands out what they do not hold: roles and bindings of users other than masters are checked before writing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.api import errors
from lab.api.auth.rbac import GROUP, Authorizer
from lab.api.auth.requests import Attributes
from lab.api.auth.users import REQUESTER, User
from lab.api.resources import Resource
from lab.api.rules import shown
from lab.api.store import Store

Body = dict[str, Any]
_FIELDS = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "resourceNames": "ResourceNames",
    "nonResourceURLs": "NonResourceURLs",
    "verbs": "Verbs",
}


class Escalation:
    """The check over one store."""

    def __init__(self, store: Store, authorizer: Authorizer) -> None:
        self._store = store
        self._authorizer = authorizer

    def admit(self, row: Resource, new: Body, old: Body | None) -> None:
        """Raises 403 for rules that the requester does not hold; labels and the like may be changed without them."""
        user = REQUESTER.get()
        if row.group != GROUP or user.master:
            return
        if old is not None and all(new.get(key) == old.get(key) for key in ("rules", "subjects", "roleRef")):
            return
        metadata = new["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
        if row.plural.endswith("bindings"):
            about = new["roleRef"]
            plural, home = ("roles", namespace) if about.get("kind") == "Role" else ("clusterroles", "")
            role = self._store.get(f"{plural}.{GROUP}", home, about.get("name", ""))
            rules = (role.body.get("rules") or []) if role else []
            passed = Attributes("bind", GROUP, plural, namespace=namespace, name=about.get("name", ""))
        else:
            rules = new.get("rules") or []
            passed = Attributes("escalate", GROUP, row.plural, namespace=namespace, name=name)
        if self._authorizer.decide(user, passed).allowed:
            return
        missing = [rule for rule in rules if not self._holds(user, rule, namespace)]
        if missing:
            groups = " ".join(f'"{one}"' for one in user.groups)
            lines = "\n".join(_go(rule) for rule in missing)
            why = f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:'
            raise errors.forbidden(row.plural, row.group, name, f"{why}\n{lines}")

    def _holds(self, user: User, rule: Body, namespace: str) -> bool:
        return all(self._authorizer.decide(user, wanted).allowed for wanted in _atoms(rule, namespace))


def _atoms(rule: Body, namespace: str) -> Iterator[Attributes]:
    """Everything that a rule allows, one by one; a star stands for itself."""
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Attributes(verb, path=url)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                plural, _, subresource = resource.partition("/")
                for name in rule.get("resourceNames") or [""]:
                    yield Attributes(verb, group, plural, subresource, namespace, name)


def _go(rule: Body) -> str:
    """A rule as Go prints it."""
    parts = [f"{words}:[{' '.join(map(shown, rule[key]))}]" for key, words in _FIELDS.items() if rule.get(key)]
    return "{" + ", ".join(parts) + "}"
