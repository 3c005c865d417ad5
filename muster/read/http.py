"""HTTP as evidence wants it: no proxies from the environment, no redirects, no retries, no endless bodies."""

from __future__ import annotations

import json
import math
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from muster.read.failures import ReadError
from muster.snapshot import FailureKind

LIMIT_BYTES = 16 * 1024 * 1024
_ODD = re.compile(rb"\\u[dD][89a-fA-F]|[0-9][eE]\+?[0-9]{3}")  # half a character (perhaps), a very large number


@dataclass(frozen=True)
class Answer:
    """One answer as it was given; ``body`` is without its transfer's compression."""

    status: int
    body: bytes
    content_type: str


class Http:
    """One pool of connections for all readings; TLS verification is that of the source that asks.

    ``ca_file`` vouches for HTTPS sources beside the system's own authorities. ``tokens``: base address -> the file with
    the bearer token for what lies below it, read at each request, so that one that was renewed is used.
    """

    def __init__(self, *, timeout_s: float, ca_file: str = "", tokens: Mapping[str, str] | None = None) -> None:
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._tokens = {base.rstrip("/"): file for base, file in (tokens or {}).items()}
        self._clients: dict[int, httpx.AsyncClient] = {}
        self._trust: ssl.SSLContext | None = None

    async def get(
        self,
        url: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        verify: ssl.SSLContext | bool | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of one GET. Raises httpx's errors, and ReadError for a redirect or an endless body."""
        answer = await self.fetch(url, params=params, headers=headers, verify=verify)
        return answer.status, answer.body

    async def fetch(
        self,
        url: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        verify: ssl.SSLContext | bool | None = None,
    ) -> Answer:
        """One GET. Raises httpx's errors, and ReadError: redirect, too_large, encoding, tls (no usable CA file)."""
        client = self._client(self._default_trust(url) if verify is None else verify)
        sent = {**self._authorization(url), **(headers or {})}
        async with client.stream("GET", url, params=params, headers=sent) as response:
            if response.is_redirect:
                where = response.headers.get("location", "nowhere")
                raise ReadError(FailureKind.REDIRECT, f"{url} redirects to {where}; name that address instead")
            body = await _body(response, url)
            return Answer(response.status_code, body, response.headers.get("content-type", ""))

    async def get_json(self, url: str, *, params: dict[str, str] | None = None) -> Any:
        """The JSON of a 200. Raises ReadError: http_status, forbidden, unparseable."""
        status, body = await self.get(url, params=params)
        if status != httpx.codes.OK:
            kind = FailureKind.FORBIDDEN if status in {401, 403} else FailureKind.HTTP_STATUS
            raise ReadError(kind, f"{url} answered {status}{_excerpt(body)}")
        return parse_json(body, url)

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()

    def _default_trust(self, url: str) -> ssl.SSLContext | bool:
        return self.trust() if url.startswith("https:") else False  # building one costs 20 ms

    def trust(self) -> ssl.SSLContext:
        """Whom HTTPS sources are judged by. Raises ReadError when the CA file cannot be used."""
        if self._trust is None:
            trust = ssl.create_default_context()
            if self._ca_file:
                try:
                    trust.load_verify_locations(self._ca_file)
                except OSError as error:
                    reason = error.strerror or "it holds no certificate"
                    message = f"ca_file {self._ca_file} cannot be used: {reason}"
                    raise ReadError(FailureKind.TLS, message) from None
            self._trust = trust
        return self._trust

    def _authorization(self, url: str) -> dict[str, str]:
        for base, file in self._tokens.items():
            if url == base or url.startswith(f"{base}/"):
                try:
                    token = Path(file).read_text(encoding="ascii").strip()
                except (OSError, ValueError) as error:
                    reason = getattr(error, "strerror", None) or "it is not text"
                    raise ReadError(FailureKind.FORBIDDEN, f"token file {file} cannot be read: {reason}") from None
                return {"Authorization": f"Bearer {token}"}
        return {}

    def _client(self, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
        key = id(verify)
        if key not in self._clients:
            self._clients[key] = httpx.AsyncClient(
                verify=verify,
                timeout=self._timeout_s,
                trust_env=False,
                headers={"Accept-Encoding": "gzip"},  # what is undone below
                follow_redirects=False,
                limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
            )
        return self._clients[key]


async def _body(response: httpx.Response, url: str) -> bytes:
    """The whole body. Raises ReadError: over the limit (also once unpacked), or not packed as it says."""
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed not in {"identity", "gzip", "x-gzip"}:
        raise ReadError(FailureKind.ENCODING, f"{url} answers in Content-Encoding {packed}, which was not asked for")
    gzip = zlib.decompressobj(31) if packed != "identity" else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        try:
            # Never more than the limit at once: a few kilobytes may unpack to gigabytes.
            body += gzip.decompress(chunk, LIMIT_BYTES + 1 - len(body)) if gzip else chunk
        except zlib.error:
            raise ReadError(FailureKind.ENCODING, f"{url} says Content-Encoding {packed}, and is not") from None
        if len(body) > LIMIT_BYTES:
            raise ReadError(FailureKind.TOO_LARGE, f"{url} answers with more than 16 MB")
        if gzip and gzip.unused_data:
            raise ReadError(FailureKind.ENCODING, f"{url} has something after its {packed} data")
    if gzip and not gzip.eof:
        raise ReadError(FailureKind.ENCODING, f"{url} ends in the middle of its {packed} data")
    return bytes(body)


def parse_json(body: bytes, where: str) -> Any:
    """The JSON in a body, as a snapshot can hold it. Raises ReadError with the line where it stops being JSON."""
    try:
        value = json.loads(body, parse_constant=_no_json)
        return _plain(value) if _ODD.search(body) else value
    except json.JSONDecodeError as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{where}: not JSON at line {error.lineno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{where}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ReadError(FailureKind.UNPARSEABLE, f"{where}: JSON nested too deeply") from None
    except ValueError as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{where}: not JSON: {error}") from None


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _plain(value: Any) -> Any:
    """What a snapshot can hold: half characters replaced. Raises ValueError for a number beyond all."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number beyond all that can be counted")
    return value


def _excerpt(body: bytes) -> str:
    """What the server said, if it said it in JSON's usual ``error`` or ``message``."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    text = said.get("error") or said.get("message") if isinstance(said, dict) else None
    return f": {text}" if isinstance(text, str) else ""
