"""Users as requests have them: a name, a uid, groups, and what their credential adds."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
_ACCOUNT = "system:serviceaccount:"
CREDENTIAL = "authentication.kubernetes.io/credential-id"

Extra = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class User:
    """Whoever asks. ``extra`` holds pairs of a key and its values."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Extra = ()

    @property
    def master(self) -> bool:
        """Whether everything is allowed, without asking any role."""
        return MASTERS in self.groups

    def info(self) -> dict[str, Any]:
        """The UserInfo of reviews."""
        info: dict[str, Any] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra}
        return info


ADMIN = User("kubernetes-admin", groups=(MASTERS, AUTHENTICATED))
ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))
REQUESTER: ContextVar[User] = ContextVar("requester", default=ADMIN)
"""Who made the request in hand; what the server does by itself, it does as the administrator."""


def account_name(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{_ACCOUNT}{namespace}:{name}"


def account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every service account of a namespace."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)


def account_of(user_name: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a user name stands for, or None."""
    namespace, colon, name = user_name.removeprefix(_ACCOUNT).partition(":")
    return (namespace, name) if user_name.startswith(_ACCOUNT) and colon else None
