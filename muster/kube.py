"""One authenticated session with a Kubernetes API server.

A plain kubeconfig is read by :mod:`muster.kubeconfig`, any other by the official client's own loader (exec plugins,
client certificates as data), and httpx carries the requests: importing the client's models would cost two seconds of
every run. The server's address is always the one that the named kubeconfig and context give; nothing falls back to a
user's default cluster.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import yaml

from muster.errors import MusterError, UsageError
from muster.kubeconfig import current_context, files_of, read_plain

if TYPE_CHECKING:
    import httpx  # a tenth of a second: imported where a session is opened

STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class KubeError(MusterError):
    """The API server did not do what was asked. ``status`` is its HTTP status, 0 when it gave none."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Access:
    """Where an API server is and how to authenticate; made by :func:`load_access`."""

    server: str
    headers: dict[str, str]
    verify: ssl.SSLContext | bool
    renew: Callable[[], Access] | None = None  # the same, read again: tokens of service accounts are exchanged hourly


def load_access(kubeconfig: Path | str, context: str | None = None) -> Access:
    """Read one context of a kubeconfig, None for its current one. Raises :class:`UsageError` if it cannot be used.

    A list of kubeconfigs, as KUBECONFIG may hold it, is merged as kubectl does.
    """
    return replace(_load(kubeconfig, context), renew=lambda: _load(kubeconfig, context))


def _load(kubeconfig: Path | str, context: str | None) -> Access:
    files = files_of(kubeconfig)
    if not files:
        several = (
            "none of the kubeconfigs {} exists" if os.pathsep in str(kubeconfig) else "kubeconfig {} does not exist"
        )
        raise UsageError(several.format(kubeconfig))
    path = os.pathsep.join(map(str, files))
    plain = read_plain(files, context)
    if plain is None:
        # Of several files it takes the last one's current context, and kubectl the first one's.
        return _load_officially(path, context or (current_context(files) if len(files) > 1 else None))
    try:
        trust = _verification(plain.verify, None, plain.certificate_file, plain.key_file, ca=plain.ca)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise UsageError(f"kubeconfig {path} cannot be used: its certificates: {reason}") from None
    headers = {"Authorization": f"Bearer {plain.token}"} if plain.token else {}
    return Access(server=plain.server, headers=headers, verify=trust)


def _load_officially(path: str, context: str | None) -> Access:
    from kubernetes.config import ConfigException, kube_config

    class _Sink:
        """Receives the loader's fields without building the client's whole Configuration."""

        host = ""
        ssl_ca_cert = cert_file = key_file = None
        verify_ssl = True

        def __init__(self) -> None:
            self.api_key: dict[str, str] = {}

    sink = _Sink()
    try:
        kube_config.load_kube_config(config_file=path, context=context, client_configuration=sink)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UsageError(f"kubeconfig {path} cannot be used: {where}{error.problem}") from None
    except (ConfigException, OSError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"kubeconfig {path} cannot be used: {error}") from None
    token = next(iter(sink.api_key.values()), "")  # the only one; its key's name differs by client version
    return Access(
        server=sink.host.rstrip("/"),
        headers={"Authorization": token} if token else {},
        verify=_verification(sink.verify_ssl, sink.ssl_ca_cert, sink.cert_file, sink.key_file),
    )


def _verification(
    verify: bool, ca_file: str | None, cert_file: str | None, key_file: str | None, *, ca: str = ""
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file, cadata=ca or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


class Kube:
    """A synchronous session. Paths are the API's own, such as ``/api/v1/namespaces/x/pods``."""

    def __init__(self, access: Access, *, timeout_s: float = 5.0) -> None:
        import httpx

        self.access = access
        self._http = httpx.Client(
            base_url=access.server, headers=access.headers, verify=access.verify, timeout=timeout_s, trust_env=False
        )

    @property
    def server(self) -> str:
        """The address that this session really talks to, for guards and ledgers."""
        return self.access.server

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """GET one object or list. Raises :class:`KubeError`."""
        return self._send("GET", path, params=params)

    def find(self, path: str) -> dict[str, Any] | None:
        """GET one object; None when there is none. Raises :class:`KubeError` for anything else."""
        try:
            return self.get(path)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def post(self, path: str, body: dict[str, Any], **params: str | int) -> dict[str, Any]:
        """Create an object."""
        return self._send("POST", path, params=params, json=body)

    def put(self, path: str, body: dict[str, Any], **params: str | int) -> dict[str, Any]:
        """Replace an object; a stale resourceVersion ends in status 409."""
        return self._send("PUT", path, params=params, json=body)

    def patch(self, path: str, body: Any, *, kind: str = STRATEGIC, **params: str | int) -> dict[str, Any]:
        """Patch an object with one of STRATEGIC, MERGE, JSON_PATCH."""
        return self._send("PATCH", path, params=params, json=body, headers={"Content-Type": kind})

    def delete(self, path: str, body: dict[str, Any] | None = None, **params: str | int) -> dict[str, Any]:
        """Delete an object."""
        return self._send("DELETE", path, params=params, json=body or {})

    def _send(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        response = self._request(method, path, **kwargs)
        if response.status_code == 401 and self._renewed():
            response = self._request(method, path, **kwargs)
        return parse(response, f"{method} {path}")

    def _request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        import httpx

        try:
            return self._http.request(method, path, **kwargs)
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            raise KubeError(f"Kubernetes API {self.server} {method} {path}: {what}") from error

    def _renewed(self) -> bool:
        """Whether the kubeconfig now gives another token for the same server; it is used from here on."""
        if self.access.renew is None:
            return False
        fresh = self.access.renew().headers
        if fresh == self.access.headers:
            return False
        self.access = replace(self.access, headers=fresh)
        self._http.headers.update(fresh)
        return True

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def parse(response: httpx.Response, what: str) -> dict[str, Any]:
    """The body of a good answer; a Status failure becomes a :class:`KubeError` with the server's own words."""
    return parse_body(response.status_code, response.content, what)


def parse_body(status: int, content: bytes, what: str) -> dict[str, Any]:
    """:func:`parse` of a status and a body that somebody else received."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise KubeError(f"Kubernetes API: {what} answered {status} without JSON", status=status)
    if status >= 400:
        message, reason = str(body.get("message", "")), str(body.get("reason", ""))
        raise KubeError(f"Kubernetes API: {what}: {message or status}", status=status, reason=reason)
    return body
