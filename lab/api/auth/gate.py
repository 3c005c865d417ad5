"""The gate in front of every request: who asks (401), as whom, and whether they may (403)."""

from __future__ import annotations

import hmac

from aiohttp import web

from lab.api import clock, errors
from lab.api.auth import users
from lab.api.auth.rbac import Authorizer
from lab.api.auth.requests import Attributes, of_request, refusal
from lab.api.auth.tokens import ISSUER, Tokens
from lab.api.auth.users import User
from lab.api.store import Store

OPEN = {"/healthz", "/livez", "/readyz", "/version"}
_AS, _AS_GROUP, _AS_UID, _AS_EXTRA = (
    "Impersonate-User",
    "Impersonate-Group",
    "Impersonate-Uid",
    "Impersonate-Extra-",
)
_BOUND = {"pod": "pods", "secret": "secrets", "node": "nodes"}


class Gate:
    """Authentication and authorization over one store. ``admin_token`` is the token that may do everything."""

    def __init__(self, store: Store, admin_token: str, tokens: Tokens) -> None:
        self.authorizer = Authorizer(store)
        self.tokens = tokens
        self._store = store
        self._admin_token = admin_token.encode()

    def admit(self, request: web.Request) -> User:
        """Who asks. Raises 401 and 403; health and version are open to whoever shows no token at all."""
        given = request.headers.get("Authorization")
        if given is None and request.path in OPEN:
            return users.ANONYMOUS
        scheme, _, token = (given or "").partition(" ")
        user = self.authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise errors.unauthorized()
        if any(name.lower().startswith("impersonate-") for name in request.headers):
            user = self._impersonated(user, request)
        if not user.master:
            self._require(user, of_request(request.method, request.path, request.query))
        return user

    def authenticate(self, token: str, audience: str = ISSUER) -> User | None:
        """The user whom a token is for, or None when it is not valid (any more) for this audience."""
        if hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._admin_token):
            return users.ADMIN
        claims = self.tokens.read(token, clock.now())
        if claims is None or audience not in claims["aud"]:
            return None
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        if not self._lives("serviceaccounts", namespace, account):
            return None
        extra: list[tuple[str, tuple[str, ...]]] = [(users.CREDENTIAL, (f"JTI={claims['jti']}",))]
        for kind, plural in _BOUND.items():
            if kind not in about:
                continue
            if not self._lives(plural, "" if kind == "node" else namespace, about[kind]):
                return None
            if kind != "secret":
                prefix = f"authentication.kubernetes.io/{kind}"
                extra += [(f"{prefix}-name", (about[kind]["name"],)), (f"{prefix}-uid", (about[kind]["uid"],))]
        name = users.account_name(namespace, account["name"])
        return User(name, account["uid"], users.account_groups(namespace), tuple(extra))

    def _lives(self, kind: str, namespace: str, about: dict[str, str]) -> bool:
        stored = self._store.get(kind, namespace, about["name"])
        return stored is not None and stored.metadata["uid"] == about["uid"]

    def _require(self, user: User, wanted: Attributes) -> None:
        decision = self.authorizer.decide(user, wanted)
        if not decision.allowed:
            raise refusal(user.name, wanted, decision.reason)

    # -- impersonation

    def _impersonated(self, user: User, request: web.Request) -> User:
        """The user as whom ``user`` asks. Raises 400, 403."""
        headers = request.headers
        name, groups = headers.get(_AS, ""), headers.getall(_AS_GROUP, [])
        uid = headers.get(_AS_UID, "")
        extra: dict[str, list[str]] = {}
        for key, value in headers.items():
            if key.lower().startswith(_AS_EXTRA.lower()):
                extra.setdefault(key[len(_AS_EXTRA) :].lower(), []).append(value)
        if not name:
            raise errors.bad_request("requested groups, uid or extra fields without impersonating a user")
        account = users.account_of(name)
        if account is None:
            self._require(user, Attributes("impersonate", resource="users", name=name))
        else:
            self._require(
                user, Attributes("impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])
            )
        for group in groups:
            self._require(user, Attributes("impersonate", resource="groups", name=group))
        api = "authentication.k8s.io"
        if uid:
            self._require(user, Attributes("impersonate", api, "uids", name=uid))
        for key, values in extra.items():
            for value in values:
                self._require(user, Attributes("impersonate", api, "userextras", key, name=value))
        if account is not None and not groups:
            groups = list(users.account_groups(account[0]))
        if name != users.ANONYMOUS.name and not {users.AUTHENTICATED, users.UNAUTHENTICATED} & set(groups):
            groups = [*groups, users.AUTHENTICATED]
        return User(name, uid, tuple(groups), tuple((key, tuple(values)) for key, values in extra.items()))
