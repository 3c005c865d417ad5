"""Role-based access control: what the roles bound to a user allow. What a user was granted is worked out once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.api.auth.requests import Attributes
from lab.api.auth.users import User, account_name
from lab.api.store import Event, Store, Stored

GROUP = "rbac.authorization.k8s.io"
_KINDS = {f"{plural}.{GROUP}" for plural in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")}
_REMEMBERED = 256

Body = dict[str, Any]


class Rule:
    """One rule of a role, made ready for matching. ``source`` is the rule as its role has it."""

    __slots__ = ("_groups", "_names", "_resources", "_urls", "_verbs", "source")

    def __init__(self, source: Body) -> None:
        self.source = source
        self._verbs = frozenset(source.get("verbs") or ())
        self._groups = frozenset(source.get("apiGroups") or ())
        self._resources = frozenset(source.get("resources") or ())
        self._names = frozenset(source.get("resourceNames") or ())
        self._urls = tuple(source.get("nonResourceURLs") or ())

    def allows(self, wanted: Attributes) -> bool:
        """Whether this rule covers a request."""
        if not ("*" in self._verbs or wanted.verb in self._verbs):
            return False
        if wanted.path:
            return any(
                url in {"*", wanted.path} or (url.endswith("*") and wanted.path.startswith(url[:-1]))
                for url in self._urls
            )
        return (
            ("*" in self._groups or wanted.group in self._groups)
            and self._covers(wanted)
            and (not self._names or wanted.name in self._names)
        )

    def _covers(self, wanted: Attributes) -> bool:
        if "*" in self._resources or wanted.full_resource in self._resources:
            return True
        return bool(wanted.subresource) and f"*/{wanted.subresource}" in self._resources


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` says by which binding, or what was wrong with one."""

    allowed: bool
    reason: str = ""


@dataclass
class Granted:
    """What one user was granted: rules with their reason, in all namespaces ("") or in one."""

    rules: dict[str, list[tuple[Rule, str]]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def reaching(self, namespace: str) -> list[tuple[Rule, str]]:
        """The rules that hold in a namespace; for "" those that hold everywhere."""
        everywhere = self.rules.get("", [])
        return [*everywhere, *self.rules.get(namespace, [])] if namespace else everywhere

    def troubles(self, namespace: str) -> str:
        """The bindings that lead nowhere, in the API's words, or ""."""
        found = [*self.problems.get("", []), *(self.problems.get(namespace, []) if namespace else [])]
        listed = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        return f"RBAC: {listed}" if found else ""


class Authorizer:
    """Decides over one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._granted: dict[tuple[str, tuple[str, ...]], Granted] = {}
        store.listeners.append(self._notice)

    def _notice(self, kind: str, _event: Event) -> None:
        if kind in _KINDS:
            self._granted.clear()

    def decide(self, user: User, wanted: Attributes) -> Decision:
        """Whether ``user`` may do what is wanted. Masters may do everything."""
        if user.master:
            return Decision(allowed=True)
        granted = self.granted(user)
        for rule, reason in granted.reaching(wanted.namespace):
            if rule.allows(wanted):
                return Decision(allowed=True, reason=reason)
        return Decision(allowed=False, reason=granted.troubles(wanted.namespace))

    def granted(self, user: User) -> Granted:
        """All that the roles bound to a user allow."""
        key = (user.name, user.groups)
        found = self._granted.get(key)
        if found is None:
            if len(self._granted) >= _REMEMBERED:
                self._granted.clear()
            found = self._granted[key] = self._collect(user)
        return found

    def _collect(self, user: User) -> Granted:
        found = Granted()
        for kind in ("clusterrolebindings", "rolebindings"):
            for binding in self._store.list(f"{kind}.{GROUP}"):
                subject = _bound(binding, user)
                if subject is not None:
                    self._grant(binding, subject, found)
        return found

    def _grant(self, binding: Stored, subject: str, found: Granted) -> None:
        namespace, name = binding.key
        about = binding.body.get("roleRef") or {}
        kind, role_name = str(about.get("kind")), str(about.get("name"))
        shelf, home = ("roles", namespace) if kind == "Role" else ("clusterroles", "")
        role = self._store.get(f"{shelf}.{GROUP}", home, role_name)
        if role is None:
            missing = f'{kind.lower()}.{GROUP} "{role_name}" not found'
            found.problems.setdefault(namespace, []).append(missing)
            return
        via = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        reason = f'RBAC: allowed by {via} of {kind} "{role_name}" to {subject}'
        rules = found.rules.setdefault(namespace, [])
        rules.extend((Rule(one), reason) for one in role.body.get("rules") or ())


def _bound(binding: Stored, user: User) -> str | None:
    """The subject of a binding through which it reaches a user, as reasons name it, or None."""
    for subject in binding.body.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == user.name:
            return f'User "{name}"'
        if kind == "Group" and name in user.groups:
            return f'Group "{name}"'
        home = subject.get("namespace") or binding.key[0]
        if kind == "ServiceAccount" and user.name == account_name(home, name):
            return f'ServiceAccount "{name}/{home}"'
    return None
