"""The webhook over HTTP: authenticated, bounded, answered as soon as the record is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from aiohttp import web

from muster.errors import MusterError
from muster.responder.audit import SCHEMA, AuditError
from muster.responder.decide import UNKNOWN
from muster.responder.engine import Responder
from muster.responder.later import Later, again, left_behind
from muster.responder.metrics import exposition
from muster.responder.recent import Recent
from muster.responder.webhook import Alert, MalformedError, parse
from muster.timeline import Kind

_LOG = logging.getLogger("muster.responder")
BODY_LIMIT = 1024 * 1024  # bytes
_PENDING_LIMIT = 64  # alerts being decided; beyond it Alertmanager is told to come again
_PULSE_EVERY_S = 2.0
_RESUME_EVERY_S = 2.0
_OBSERVE_EVERY_S = 10.0
_LATER_EVERY_S = 1.0
# What could not be known is looked at again by itself for 5 minutes: Alertmanager's repetition may be hours away.
_RELOOKS_S = (5.0, 10.0, 20.0, 40.0, 60.0, 60.0)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The routes, and the threads in which the responder works so that the event loop stays free."""

    def __init__(self, responder: Responder, token: str) -> None:
        self._responder = responder
        self._expected = f"Bearer {token}".encode()
        self._final = Recent()  # occurrences that are decided for good
        self._over: set[str] = set()  # pending ones that have resolved meanwhile
        self._pending: set[str] = set()
        self._later = Later()  # refused ones whose reason ends
        self._tasks: set[asyncio.Task[None]] = set()
        self._work = ThreadPoolExecutor(4, thread_name_prefix="respond")
        self._nerve = ThreadPoolExecutor(1, thread_name_prefix="pulse")
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._stopping = asyncio.Event()

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[_errors_in_a_sentence])
        app.add_routes(
            [
                web.post("/alerts", self._alerts),
                web.get("/audit", self._audit),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._shutdown)
        return app

    # -- routes ---------------------------------------------------------------------------------------------------

    async def _alerts(self, request: web.Request) -> web.Response:
        self._authorize(request)
        body = await request.read()
        try:
            alerts = parse(json.loads(body))
        except (ValueError, RecursionError):
            return _say(400, "the body is not JSON")
        except MalformedError as error:
            return _say(400, str(error))
        fresh = self._fresh(alerts)
        if self._pending and len(self._pending) + len(fresh) > _PENDING_LIMIT:  # alone, even a large one is taken
            return _say(503, f"{len(self._pending)} alerts are still being decided; come again")
        self._pending.update(alert.key for alert in fresh)
        try:
            await self._in(self._disk, self._receive, alerts, {alert.key for alert in fresh})
        except AuditError as error:
            self._pending.difference_update(alert.key for alert in fresh)
            return _say(503, str(error))
        over = {alert.key for alert in alerts if not alert.firing}
        self._over.update(over & self._pending)
        self._later.drop([*over, *(alert.key for alert in fresh)])  # a repetition is decided now
        for alert in fresh:
            self._spawn(self._decide(alert))
        return web.json_response({"received": len(alerts), "new": len(fresh)})

    async def _audit(self, request: web.Request) -> web.Response:
        self._authorize(request)
        try:
            since = float(request.query.get("since", "0"))
        except ValueError:
            return _say(400, "since is not a number of seconds since the epoch")
        records = self._responder.audit.since(since)
        # ``now``: whoever reads stamps of this clock can tell how far it is from theirs
        return web.json_response({"schema": SCHEMA, "now": time.time(), "records": records})

    async def _healthz(self, request: web.Request) -> web.Response:
        """For people and monitoring: 200 when all is well, otherwise 503 with the reason in a sentence."""
        ailment, unheard = self._hindrance(), len(self._responder.escalation.pending)
        if not ailment and unheard:
            ailment = f"{unheard} failed rollbacks that Alertmanager has not taken: nobody was paged"
        return self._state("failing" if ailment else "ok", ailment)

    async def _readyz(self, request: web.Request) -> web.Response:
        """For what sends it alerts: 200 when it could act on one now.

        A page that nobody takes is no reason to send it none: then no later bad release would be rolled back.
        """
        hindrance = self._hindrance()
        return self._state("not ready" if hindrance else "ready", hindrance)

    def _hindrance(self) -> str:
        """Why it could not act now, in a sentence; empty when it could."""
        return self._responder.pulse.ailment() or self._responder.audit.ailment

    def _state(self, status: str, reason: str) -> web.Response:
        responder = self._responder
        told = {
            "status": status,
            "reason": reason,
            "system": responder.system.name,
            "environment": responder.env.name,
            "lock": responder.pulse.lock(),
        }
        return web.json_response(told, status=503 if reason else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        responder = self._responder
        text = exposition(
            responder.audit.counts(),
            silent_s=responder.pulse.silent_s,
            held=bool(responder.pulse.lock()["holder"]),
            undelivered=len(responder.escalation.pending),
        )
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def _fresh(self, alerts: list[Alert]) -> list[Alert]:
        """The firing ones that are neither decided for good nor being decided, each once."""
        firing = {alert.key: alert for alert in alerts if alert.firing}
        return [alert for key, alert in firing.items() if key not in self._final and key not in self._pending]

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._expected):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"}, reason="a bearer token is needed")

    # -- work -----------------------------------------------------------------------------------------------------

    def _receive(self, alerts: list[Alert], fresh: set[str]) -> None:
        for alert in alerts:
            kind = Kind.WEBHOOK_RECEIVED if alert.firing else Kind.ALERT_RESOLVED
            repeated = alert.firing and alert.key not in fresh
            message = f"{alert.status}{', again' if repeated else ''}"
            self._responder.audit.append(kind, alert=alert.name, message=message, repeated=repeated, **alert.record())

    async def _decide(self, alert: Alert, *, late: bool = False, spent: frozenset[str] = frozenset()) -> None:
        try:
            for pause_s in (*_RELOOKS_S, None):
                if await self._in(self._work, self._responder.handle, alert, late):
                    self._final.add(alert.key)
                    return
                no = self._responder.left_open(alert)
                if no is None or alert.key in self._over:
                    return
                if no.name != UNKNOWN:
                    look = again(alert, no, since=time.monotonic(), spent=spent)
                    if look is not None:
                        self._later.add(look)
                    return
                if pause_s is None or await self._stopped_within(pause_s) or alert.key in self._over:
                    return
        finally:
            self._pending.discard(alert.key)
            self._over.discard(alert.key)

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._mistake(error)

    def _mistake(self, error: BaseException) -> None:
        """Of ours: the log has the trace, and the audit must not be silent."""
        _LOG.error("work has failed", exc_info=error)
        with contextlib.suppress(AuditError):
            self._responder.audit.append(Kind.NOTE, alert="", message=f"work has failed: {error!r}")

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *given)

    # -- life -----------------------------------------------------------------------------------------------------

    async def _start(self, app: web.Application) -> None:
        left = left_behind(self._responder.audit.since(0), time.time())
        self._final.update(left.final)
        for alert in left.undecided:
            self._pending.add(alert.key)
            self._spawn(self._decide(alert, late=True))
        for look in left.waiting:
            self._later.add(replace(look, since=time.monotonic()))
        self._spawn(self._feel())
        self._spawn(self._watch())
        self._spawn(self._every(_LATER_EVERY_S, self._look_again))

    async def _look_again(self) -> None:
        """Decide anew on what was refused for a reason that is over now."""
        room = _PENDING_LIMIT - len(self._pending)
        free_since = self._responder.pulse.free_since
        for look in self._later.due(time.time(), free_since, but=self._pending, room=room):
            self._pending.add(look.alert.key)
            self._spawn(self._decide(look.alert, late=True, spent=look.spent))

    async def _feel(self) -> None:
        """Feel the API's pulse, whatever is under way, and deliver what could not be delivered."""
        responder = self._responder

        async def _once() -> None:
            await self._in(self._nerve, responder.pulse.take)
            await self._in(self._nerve, responder.escalation.retry)

        await self._every(_PULSE_EVERY_S, _once)

    async def _watch(self) -> None:
        """Take up what crashed responders left, and remember which builds serve."""
        loop = asyncio.get_running_loop()
        observe_at = loop.time()

        async def _once() -> None:
            nonlocal observe_at
            await self._in(self._work, self._responder.resume)
            if loop.time() >= observe_at and await self._in(self._work, self._responder.observe):
                observe_at = loop.time() + _OBSERVE_EVERY_S

        await self._every(_RESUME_EVERY_S, _once)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again until told to stop; a new trouble is logged once."""
        trouble = ""
        while not self._stopping.is_set():
            try:
                await work()
                trouble = ""
            except MusterError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    _LOG.warning("%s; trying again every %gs", trouble, seconds)
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not end for good what resumes after crashes
                if repr(error) != trouble:
                    trouble = repr(error)
                    self._mistake(error)
            await self._stopped_within(seconds)

    async def _shutdown(self, app: web.Application) -> None:
        """What is under way is left in the Lease; each thread ends after its request in flight."""
        self._responder.stop.set()
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._work.shutdown()
        self._nerve.shutdown()
        self._disk.shutdown()


def _say(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


@web.middleware
async def _errors_in_a_sentence(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return _say(413, f"the body is larger than {BODY_LIMIT} bytes")
    except web.HTTPException as error:
        answer = _say(error.status, error.reason)
        for name in ("WWW-Authenticate", "Allow"):
            if name in error.headers:
                answer.headers[name] = error.headers[name]
        return answer
