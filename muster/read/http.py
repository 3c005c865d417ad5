"""HTTP as evidence wants it: no proxies from the environment, no redirects, no endless bodies."""

from __future__ import annotations

import json
import ssl
from typing import Any

import httpx

from muster.read.failures import ReadError
from muster.snapshot import FailureKind

LIMIT_BYTES = 16 * 1024 * 1024


class Http:
    """One pool of connections for all readings; TLS verification is that of the source that asks."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
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
        client = self._client(self._default_trust(url) if verify is None else verify)
        async with client.stream("GET", url, params=params, headers=headers) as response:
            if response.is_redirect:
                where = response.headers.get("location", "nowhere")
                raise ReadError(FailureKind.REDIRECT, f"{url} redirects to {where}; name that address instead")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LIMIT_BYTES:
                    raise ReadError(FailureKind.TOO_LARGE, f"{url} answers with more than 16 MB")
            return response.status_code, bytes(body)

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
        if not url.startswith("https:"):
            return False  # plain HTTP needs none, and building one costs 20 ms
        self._trust = self._trust or ssl.create_default_context()
        return self._trust

    def _client(self, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
        key = id(verify)
        if key not in self._clients:
            self._clients[key] = httpx.AsyncClient(
                verify=verify,
                timeout=self._timeout_s,
                trust_env=False,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
            )
        return self._clients[key]


def parse_json(body: bytes, where: str) -> Any:
    """The JSON in a body. Raises ReadError with the line where it stops being JSON."""
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{where}: not JSON at line {error.lineno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{where}: not UTF-8 at byte {error.start}") from None


def _excerpt(body: bytes) -> str:
    """What the server said, if it said it in JSON's usual ``error`` or ``message``."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    text = said.get("error") or said.get("message") if isinstance(said, dict) else None
    return f": {text}" if isinstance(text, str) else ""
