"""Before any load: one request of each kind. A system that is not there is an error, not a statistic."""

from __future__ import annotations

from pathlib import Path

import httpx

from muster.errors import MusterError, UsageError
from muster.load.plan import Plan
from muster.read.failures import ReadError, explain
from muster.read.http import Http
from muster.system import Environment

TIMEOUT_S = 5.0


def look(env: Environment, plan: Plan, host: str) -> None:
    """Send each request of the mix once and hold its status against the expected one.

    Raises:
        UsageError: A file that the environment names cannot be used.
        MusterError: The system cannot be reached (connection, name, certificate), or answers otherwise.
    """
    headers = {"User-Agent": "muster"}
    if plan.token_file:
        headers["Authorization"] = f"Bearer {_token(plan.token_file)}"
    try:
        trust = Http(timeout_s=TIMEOUT_S, ca_file=plan.ca_file).trust() if host.startswith("https:") else True
    except ReadError as error:
        raise UsageError(f"environment {env.name}: {error}") from None
    with httpx.Client(base_url=host, verify=trust, timeout=TIMEOUT_S, trust_env=False, headers=headers) as client:
        for request in plan.mix:
            _ask(client, request.method, request.path, request.body, request.expect)


def _ask(client: httpx.Client, method: str, path: str, body: object, expect: int) -> None:
    url = str(client.base_url.join(path))
    try:
        answer = client.request(method, path, json=body) if body is not None else client.request(method, path)
    except (httpx.HTTPError, OSError) as error:
        raise MusterError(f"{_reason(error, url)}; no load was sent") from None
    if answer.status_code != expect:
        raise MusterError(
            f"{method} {url} answered {answer.status_code}, the load mix expects {expect}; no load was sent"
        )


def _reason(error: BaseException, url: str) -> str:
    """One sentence, from the innermost cause that says what the machine or TLS said."""
    if isinstance(error, httpx.TimeoutException):
        return f"{url} did not answer within {TIMEOUT_S:g} s"
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and (failure := explain(below, url, TIMEOUT_S)) is not None:
            return failure.message
        below = below.__cause__ or below.__context__
    return f"{url}: {error or type(error).__name__}"


def _token(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"the token file {file} cannot be read: {error.strerror}") from None
