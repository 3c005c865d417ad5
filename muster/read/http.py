"""HTTP as evidence wants it: no proxies from the environment, no redirects, no retries, no endless bodies."""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from muster.errors import MusterError
from muster.read.failures import BadAddressError, ReadError
from muster.read.pool import Pool, Server
from muster.read.wire import Receiving
from muster.snapshot import FailureKind
from muster.trust import authorities

LIMIT_BYTES = 16 * 1024 * 1024
_PORTS = {"http": 80, "https": 443}
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
        self.pool = Pool()
        self._trust: ssl.SSLContext | None = None

    async def get(
        self,
        url: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        verify: ssl.SSLContext | bool | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of one GET; raises as :meth:`fetch`."""
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
        """One GET.

        Raises ReadError: redirect, too_large, encoding, tls (no usable CA file); BadAddressError; OSError, of which
        TimeoutError when the answer is not whole in the pool's time; BrokenAnswerError for what is no HTTP.
        """
        server, target = _address(url, params)
        if url.startswith("https:"):
            trust = verify if isinstance(verify, ssl.SSLContext) else self.trust()
            server = Server(server.host, server.port, trust)
        sent = {**self._authorization(url), **(headers or {})}
        request = _request(server, target, sent)

        def begun(receiving: Receiving) -> Callable[[bytes], None]:
            if 300 <= receiving.status < 400:
                where = receiving.headers.get("location", "nowhere")
                raise ReadError(FailureKind.REDIRECT, f"{url} redirects to {where}; name that address instead")
            body.begin(receiving.headers.get("content-encoding", "identity").strip().lower())
            return body.take

        body, receiving = _Body(url), Receiving(begun)
        connection = await self.pool.take(server)
        try:
            async with asyncio.timeout(self._timeout_s):  # from here: waiting for a turn is not the server's fault
                await connection.ask(request, receiving)
        finally:
            self.pool.give(server, connection)
        return Answer(receiving.status, body.whole(), receiving.headers.get("content-type", ""))

    async def get_json(self, url: str, *, params: dict[str, str] | None = None) -> Any:
        """The JSON of a 200. Raises ReadError: http_status, forbidden, unparseable."""
        status, body = await self.get(url, params=params)
        if status != 200:
            kind = FailureKind.FORBIDDEN if status in {401, 403} else FailureKind.HTTP_STATUS
            raise ReadError(kind, f"{url} answered {status}{_excerpt(body)}")
        return parse_json(body, url)

    async def close(self) -> None:
        """Close every connection."""
        self.pool.close()

    def trust(self) -> ssl.SSLContext:
        """Whom HTTPS sources are judged by, built when first asked. Raises ReadError: an unusable CA file."""
        if self._trust is None:
            try:
                self._trust = authorities(self._ca_file)
            except MusterError as error:
                raise ReadError(FailureKind.TLS, str(error)) from None
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


def _address(url: str, params: Mapping[str, str] | None) -> tuple[Server, str]:
    """Who is asked, and for what. Raises BadAddressError."""
    try:
        parts: SplitResult = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        what = f"{error.args[0]!r} is neither http nor https" if isinstance(error, KeyError) else error
        raise BadAddressError(str(what)) from None
    if not host or not url.isprintable() or " " in parts.netloc:
        raise BadAddressError("it names no host" if not host else "it holds what no address can hold")
    query = "&".join(part for part in (parts.query, urlencode(params or {})) if part)
    target = quote(parts.path, safe="/%:@!$&'()*+,;=~") or "/"
    return Server(host, port), f"{target}?{query}" if query else target


def _request(server: Server, target: str, headers: Mapping[str, str]) -> bytes:
    host = f"[{server.host}]" if ":" in server.host else server.host
    if server.port != _PORTS["https" if server.trust else "http"]:
        host = f"{host}:{server.port}"
    sent = {"Host": host, "Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "muster", **headers}
    if strange := [name for name, value in sent.items() if not f"{name}{value}".isprintable()]:
        raise BadAddressError(f"its header {strange[0]} holds what no header can hold")
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    try:
        return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii")
    except UnicodeEncodeError:
        raise BadAddressError("it holds more than ASCII") from None


class _Body:
    """A body that comes in. Raises ReadError: over the limit (also once unpacked), or not packed as it says."""

    def __init__(self, url: str) -> None:
        self._url, self._packed = url, ""
        self._body = bytearray()
        self._gzip: Any = None

    def begin(self, packed: str) -> None:
        """What it is packed in, by its header."""
        if packed not in {"identity", "gzip", "x-gzip"}:
            message = f"{self._url} answers in Content-Encoding {packed}, which was not asked for"
            raise ReadError(FailureKind.ENCODING, message)
        self._packed = packed
        self._gzip = zlib.decompressobj(31) if packed != "identity" else None

    def take(self, piece: bytes) -> None:
        """One piece, as it was sent."""
        try:
            # Never more than the limit at once: a few kilobytes may unpack to gigabytes.
            left = LIMIT_BYTES + 1 - len(self._body)
            self._body += self._gzip.decompress(piece, left) if self._gzip else piece
        except zlib.error:
            message = f"{self._url} says Content-Encoding {self._packed}, and is not"
            raise ReadError(FailureKind.ENCODING, message) from None
        if len(self._body) > LIMIT_BYTES:
            raise ReadError(FailureKind.TOO_LARGE, f"{self._url} answers with more than 16 MB")
        if self._gzip and self._gzip.unused_data:
            raise ReadError(FailureKind.ENCODING, f"{self._url} has something after its {self._packed} data")

    def whole(self) -> bytes:
        """All of it, unpacked."""
        if self._gzip and not self._gzip.eof:
            raise ReadError(FailureKind.ENCODING, f"{self._url} ends in the middle of its {self._packed} data")
        return bytes(self._body)


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
