"""The sink's servers: ``POST /v2/enqueue``, ``/slack/NAME``, ``/webhook/NAME``, ``GET /inbox``, ``/healthz``; SMTP.

And ``/grafana``, which receives nothing: it is here because one process more would cost memory for three pages.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web

from lab.sink import pagerduty, slack, webhook
from lab.sink.grafana import Grafana
from lab.sink.inbox import Inbox

LARGEST_BODY = 512 * 1024  # PagerDuty's own limit


class Sink:
    """Handlers on one inbox; ``state`` is the lab's state folder. Mail is taken where ``smtp_port`` is given."""

    def __init__(self, state: Path, smtp_port: int | None = None) -> None:
        self._state, self._smtp_port = state, smtp_port
        self._inbox = Inbox(state / "inbox.jsonl")
        self._keys = state / "pager-keys"

    def application(self) -> web.Application:
        """The routes, and mail for as long as they are served. Bodies larger than PagerDuty takes end in 413."""
        application = web.Application(client_max_size=LARGEST_BODY)
        application.add_routes(
            [
                web.post("/v2/enqueue", self.enqueue),
                web.post("/slack/{name}", self.slack),
                web.post("/webhook/{name}", self.webhook),
                web.get("/inbox", self.inbox),
                web.get("/healthz", self.healthz),
                *Grafana(self._state / "config" / "dashboards").routes("/grafana"),
            ]
        )
        if self._smtp_port is not None:
            application.cleanup_ctx.append(self._mail)
        return application

    async def _mail(self, _: web.Application) -> AsyncIterator[None]:
        from lab.sink import mail

        make = mail.protocol(self._state, self._inbox.add)
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", self._smtp_port)
        yield
        server.close()  # not waited for: a caller who lingers must not hold up the end

    async def enqueue(self, request: web.Request) -> web.Response:
        """PagerDuty's Events v2: 202, or 400 with its reasons."""
        try:
            message = pagerduty.accept(await _json(request), pagerduty.read_keys(self._keys))
        except pagerduty.Refused as refused:
            answer = {"status": "invalid event", "message": "Event object is invalid", "errors": refused.errors}
            return web.json_response(answer, status=400)
        if not message.alert:  # a resolve need not repeat what it resolves
            message = dataclasses.replace(message, alert=self._inbox.alert_of(message.body["dedup_key"]))
        self._inbox.add(message)
        answer = {"status": "success", "message": "Event processed", "dedup_key": message.body["dedup_key"]}
        return web.json_response(answer, status=202)

    async def slack(self, request: web.Request) -> web.Response:
        """Slack's incoming webhook: 200 ``ok``, or 400 with its word, as text."""
        try:
            message = slack.accept(request.match_info["name"], await request.read(), request.content_type)
        except slack.Refused as refused:
            return web.Response(status=400, text=str(refused))
        self._inbox.add(message)
        return web.Response(text="ok")

    async def webhook(self, request: web.Request) -> web.Response:
        """Any JSON object is accepted under the name in the path."""
        body = await _json(request)
        if not isinstance(body, dict):
            return web.json_response({"error": "the body is not a JSON object"}, status=400)
        for message in webhook.accept(request.match_info["name"], body):
            self._inbox.add(message)
        return web.json_response({"status": "ok"})

    async def inbox(self, request: web.Request) -> web.Response:
        """``{"now": ..., "messages": [...]}`` in order of arrival, from ``since`` on; ``now``: by what clock."""
        given = request.query.get("since", "0")
        try:
            since = float(given)
        except ValueError:
            since = math.nan
        if math.isnan(since):
            return web.json_response({"error": f"since={given} is not seconds since the epoch"}, status=400)
        messages = [dataclasses.asdict(message) for message in self._inbox.since(since)]
        return web.json_response({"now": time.time(), "messages": messages})

    async def healthz(self, request: web.Request) -> web.Response:
        """Whether the sink serves."""
        return web.Response(text="ok\n")


async def _json(request: web.Request) -> Any:
    """The body as JSON, whatever its content type says; None when it is not JSON."""
    try:
        return json.loads(await request.read())
    except ValueError:
        return None
