"""Authentication and authorization as one part of the server: its gate, its operations, its admission."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lab.api import answers, bodies
from lab.api.auth import roles
from lab.api.auth.accounts import DefaultAccounts, admit_pod, request_token
from lab.api.auth.escalation import Escalation
from lab.api.auth.gate import Gate
from lab.api.auth.reviews import REVIEWS
from lab.api.auth.tokens import Tokens
from lab.api.objects import Objects
from lab.api.paths import Target
from lab.api.resources import Resource

Operation = Callable[[web.Request, Target], Awaitable[web.StreamResponse]]
_TOKENS = Resource("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest")


class Auth:
    """Everything of this room, over one store."""

    def __init__(self, objects: Objects, admin_token: str, tokens: Tokens) -> None:
        self.gate = Gate(objects.store, admin_token, tokens)
        self._objects = objects
        self._accounts = DefaultAccounts(objects)

    def start(self) -> None:
        """Make roles and accounts that are missing; from here on, writes are checked."""
        roles.create_default(self._objects)
        self._accounts.start()
        self._objects.admission += [
            Escalation(self._objects.store, self.gate.authorizer).admit,
            lambda row, new, old: admit_pod(self._objects.store, row, new) if old is None else None,
        ]

    def operations(self) -> dict[tuple[str, str, str], Operation]:
        """What is answered here: by resource, subresource and method."""
        reviews = {(f"{plural}.{group}", "", "POST"): self.review for group, plural in REVIEWS}
        return {**reviews, ("serviceaccounts", "token", "POST"): self.token}

    async def review(self, request: web.Request, at: Target) -> web.StreamResponse:
        """POST of a review."""
        sent = await _sent(request, at.row)
        answer = REVIEWS[at.row.group, at.row.plural](self.gate, at.namespace, sent)
        return answers.respond({"kind": at.row.kind, "apiVersion": at.row.api_version, **answer}, code=201)

    async def token(self, request: web.Request, at: Target) -> web.StreamResponse:
        """POST of a TokenRequest."""
        sent = await _sent(request, _TOKENS)
        return answers.respond(request_token(self._objects, self.gate.tokens, at, sent), code=201)


async def _sent(request: web.Request, row: Resource) -> dict[str, Any]:
    """The body, held to its type. Raises 400, 415."""
    body = bodies.decode_object(await request.read(), request.headers.get("Content-Type"), row.kind)
    return bodies.typed(body, row, "Ignore")[0]
