"""Requests as bytes, made once and sent often."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import RequestRefused

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
USER_AGENT = "muster"
ANY_SUCCESS = frozenset(range(200, 300))

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|")
_PATH = re.compile(r"/[\x21\x22\x24-\x7e]*")  # origin-form; no white space, no control characters, no fragment
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"})
_BODILESS = frozenset({"GET", "HEAD", "TRACE"})  # and so no Content-Length: 0 with them


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request, ready to be sent. Made by :meth:`make`.

    ``name`` is what statistics call it; ``expect`` are the statuses that count as success; ``resendable`` says whether
    it may be sent again when a kept connection turns out to be closed; ``bodiless`` that its answer has no body (HEAD).
    """

    method: str
    path: str
    name: str
    data: bytes = field(repr=False)  # there may be a token in it
    expect: frozenset[int]
    resendable: bool
    bodiless: bool

    @classmethod
    def make(
        cls,
        method: str,
        path: str,
        *,
        host: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        json: Any = None,
        name: str = "",
        expect: Collection[int] = ANY_SUCCESS,
    ) -> Prepared:
        """``host`` is the authority (``name`` or ``name:port``); ``json``, if not None, becomes the body and its type.

        Raises:
            RequestRefused: Something in it would break the request apart, or is the client's own to say.
        """
        if not _TOKEN.fullmatch(method) or method == "CONNECT":
            raise RequestRefused(f"{method!r} is not a method that can be sent")
        if not _PATH.fullmatch(path):
            raise RequestRefused(
                f"{path!r} is not a path: it begins with / and has no white space or control characters"
            )
        if not expect or not all(isinstance(status, int) and 200 <= status <= 599 for status in expect):
            raise RequestRefused(f"{method} {path}: expected are statuses from 200 to 599, not {expect!r}")
        fields = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*"}
        if json is not None:
            if body is not None:
                raise RequestRefused(f"{method} {path} has two bodies, as bytes and as JSON")
            body = json_module.dumps(json, separators=(",", ":")).encode()
            fields["Content-Type"] = "application/json"
        for key, value in (headers or {}).items():
            if key.lower() in _OURS:
                raise RequestRefused(f"{method} {path}: {key} is set by the client itself")
            given = next((known for known in fields if known.lower() == key.lower()), key)
            fields[given] = value
        if body is not None or method not in _BODILESS:
            fields["Content-Length"] = str(len(body or b""))
        return cls(
            method=method,
            path=path,
            name=name or path,
            data=_head(method, path, fields) + (body or b""),
            expect=frozenset(expect),
            resendable=method in IDEMPOTENT,
            bodiless=method == "HEAD",
        )


def _head(method: str, path: str, fields: Mapping[str, str]) -> bytes:
    """Request line and fields. Raises :class:`RequestRefused` for a field that would inject another."""
    for name, value in fields.items():
        if not _TOKEN.fullmatch(name):
            raise RequestRefused(f"{method} {path}: {name!r} is not a header's name")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise RequestRefused(f"{method} {path}: the value of {name} has line ends, control or other characters")
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
