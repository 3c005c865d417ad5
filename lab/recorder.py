"""Writes Events as Kubernetes' own recorder does: repeats bump a count, floods are combined and then dropped."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from lab.client import Client
from lab.errors import ApiError
from lab.objects import Object, now, now_micro
from lab.resources import EVENTS

_SIMILAR = 10  # distinct messages of one reason before they are combined
_BURST = 25  # events about one object before they are thinned out
_FORGET_S = 600.0
_log = logging.getLogger(__name__)


@dataclass
class _Repeat:
    name: str
    namespace: str
    count: int
    seen: float


@dataclass
class _Budget:
    tokens: float = _BURST
    at: float = field(default_factory=time.monotonic)

    def spend(self, refill_s: float) -> bool:
        moment = time.monotonic()
        self.tokens = min(_BURST, self.tokens + (moment - self.at) / refill_s)
        self.at = moment
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Recorder:
    """Records events of one component; ``record`` never waits, ``run`` writes until cancelled.

    Events are news, not truth: what cannot be written after a few attempts is dropped and logged.
    """

    def __init__(self, client: Client, component: str, *, host: str = "", time_scale: float = 1.0) -> None:
        self._client = client
        self._component = component
        self._source = {"component": component} | ({"host": host} if host else {})
        self._host = host
        self._refill_s = 300 / time_scale
        self._queue: asyncio.Queue[tuple[tuple[str, ...], Object]] = asyncio.Queue(maxsize=2000)
        self._repeats: dict[tuple[str, ...], _Repeat] = {}
        self._similar: dict[tuple[str, ...], set[str]] = {}
        self._budgets: dict[str, _Budget] = {}

    def record(self, item: Object, kind: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Note that ``reason`` happened to ``item``; ``kind`` is Normal or Warning."""
        involved = _reference(item, field_path)
        if not self._budgets.setdefault(involved["uid"], _Budget()).spend(self._refill_s):
            return
        about = (involved["uid"], field_path, kind, reason)
        messages = self._similar.setdefault(about, set())
        if len(messages) < _SIMILAR:
            messages.add(message)
        key = (*about, message)
        if message not in messages:
            message, key = f"(combined from similar events): {message}", (*about, "")
        self._put(key, self._event(involved, kind, reason, message))

    def record_scheduling(self, pod: Object, kind: str, reason: str, message: str, action: str) -> None:
        """Note a scheduler's decision, which is written in the newer events API: eventTime, no count."""
        event = self._event(_reference(pod, ""), kind, reason, message)
        del event["count"]
        event |= {"eventTime": now_micro(), "action": action, "source": {}, "firstTimestamp": None}
        event |= {"lastTimestamp": None, "reportingInstance": f"{self._component}-{self._host}"}
        self._put((event["metadata"]["name"],), event)

    def _put(self, key: tuple[str, ...], event: Object) -> None:
        try:
            self._queue.put_nowait((key, event))
        except asyncio.QueueFull:
            _log.warning("too many events waiting; dropped %s %s", event["reason"], event["involvedObject"]["name"])

    def _event(self, involved: Object, kind: str, reason: str, message: str) -> Object:
        moment = now()
        namespace = involved.get("namespace") or "default"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{involved['name']}.{time.time_ns():x}", "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "eventTime": None,
            "source": self._source,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }

    async def run(self) -> None:
        """Write what was recorded, in order."""
        while True:
            key, event = await self._queue.get()
            for attempt in range(4):
                try:
                    await self._write(key, event)
                    break
                except ApiError as error:
                    if not error.unreachable:
                        _log.warning("event %s was refused: %s", event["reason"], error)
                        break
                    await asyncio.sleep(0.25 * 2**attempt)
            else:
                _log.warning("event %s of %s was lost", event["reason"], event["involvedObject"]["name"])
            self._queue.task_done()
            if len(self._repeats) > 4000:
                self._forget()

    async def _write(self, key: tuple[str, ...], event: Object) -> None:
        known = self._repeats.get(key)
        if known is not None and time.monotonic() - known.seen < _FORGET_S:
            news = {"count": known.count + 1, "lastTimestamp": event["lastTimestamp"], "message": event["message"]}
            try:
                await self._client.patch(EVENTS, known.namespace, known.name, news)
            except ApiError as error:
                if not error.not_found:
                    raise
            else:
                known.count += 1
                known.seen = time.monotonic()
                return
        meta = event["metadata"]
        await self._client.create(EVENTS, event)
        if "count" in event:
            self._repeats[key] = _Repeat(meta["name"], meta["namespace"], 1, time.monotonic())

    def _forget(self) -> None:
        old = time.monotonic() - _FORGET_S
        self._repeats = {key: entry for key, entry in self._repeats.items() if entry.seen > old}
        live = {key[0] for key in self._repeats}
        self._similar = {key: texts for key, texts in self._similar.items() if key[0] in live}
        self._budgets = {uid: budget for uid, budget in self._budgets.items() if uid in live}

    async def drain(self, timeout_s: float = 2.0) -> None:
        """Wait until everything recorded so far is written, at most ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.join()
        except TimeoutError:
            _log.warning("events were still unwritten after %s s", timeout_s)


def _reference(item: Object, field_path: str) -> Object:
    meta = item["metadata"]
    reference = {"apiVersion": item["apiVersion"], "kind": item["kind"], "name": meta["name"]}
    reference |= {key: meta[key] for key in ("namespace", "uid", "resourceVersion") if meta.get(key)}
    reference.setdefault("uid", meta["name"])
    return reference | ({"fieldPath": field_path} if field_path else {})
