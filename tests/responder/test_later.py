"""What the responder looks at again by itself: after a restart, and when what stood against it was due to end."""

import asyncio
import json
import time

import pytest
from aiohttp.test_utils import TestClient, TestServer

from muster.responder import server as serving
from muster.responder.audit import Audit
from muster.responder.decide import Refusal
from muster.responder.later import CATCH_UP_S, Later, Look, left_behind
from muster.responder.server import Server
from muster.responder.webhook import parse
from muster.timeline import Kind
from muster.wait import wait_until

TOKEN = "a-token-of-some-length"  # noqa: S105
START = "2026-11-21T05:01:02.5Z"


def webhook(status="firing", mark="f0"):
    labels = {"alertname": "Down"}
    return {
        "version": "4",
        "alerts": [{"status": status, "labels": labels, "fingerprint": mark, "startsAt": START}],
    }


class Deciding:
    """A responder that refuses for these reasons, in turn, and then decides for good."""

    def __init__(self, audit, *refusals):
        self.audit, self.refusals, self.handled = audit, list(refusals), []
        self.stop = self.pulse = self.escalation = self
        self.free, self._open = False, None

    def handle(self, alert, late=False):
        self.handled.append((alert.key, late))
        self._open = self.refusals.pop(0) if self.refusals else None
        return self._open is None

    def left_open(self, _alert):
        return self._open

    def free_since(self, _moment):
        """Of ``pulse``."""
        return self.free

    def set(self):
        """Of ``stop``."""

    def take(self):
        """Of ``pulse``."""

    def retry(self):
        """Of ``escalation``."""

    def observe(self):
        return False

    def resume(self):
        return False


@pytest.fixture
def deciding(tmp_path, monkeypatch):
    """``deciding(refusal, ...)`` -> such a responder; an audit file that is there is taken up."""
    monkeypatch.setattr(serving, "_LATER_EVERY_S", 0.01)
    audits = []

    def _make(*refusals):
        audits.append(Audit(tmp_path / "audit.jsonl"))
        return Deciding(audits[-1], *refusals)

    yield _make
    for audit in audits:
        audit.close()


def cool_down(ends_in_s=0.2):
    return Refusal("cool-down", "a rollback was begun", passing=True, ends_at=time.time() + ends_in_s)


def under_way(ends_in_s=60.0):
    return Refusal("under way", "another one is", passing=True, ends_at=time.time() + ends_in_s)


def live(responder, story):
    """Serve while ``story(send, server)`` runs; ``send`` posts a payload."""

    async def _live():
        server = Server(responder, TOKEN)
        async with TestClient(TestServer(server.app())) as client:

            async def _send(payload):
                answer = await client.post("/alerts", json=payload, headers={"Authorization": f"Bearer {TOKEN}"})
                return (await answer.json())["new"]

            await story(_send, server)

    asyncio.run(_live())


async def until(look, wanted, what):
    await asyncio.to_thread(wait_until, look, lambda seen: seen == wanted, what=what, timeout_s=10, every_s=0.01)


# -- by itself, when the reason is due to end -----------------------------------------------------------------------


def test_what_a_cool_down_refused_is_looked_at_again_at_its_end(deciding):
    """Alertmanager's repetition may be hours away; once, and then it is decided for good."""
    began = time.time()  # before the cool-down is: on a busy machine the one is a while after the other
    responder = deciding(cool_down())

    async def _story(send, server):
        await send(webhook())
        await until(lambda: len(responder.handled), 2, "second look")
        assert time.time() - began >= 0.2
        await until(lambda: f"f0@{START}" in server._final, True, "decided for good")
        assert await send(webhook()) == 0

    live(responder, _story)
    assert [late for _, late in responder.handled] == [False, True]


def test_one_reason_is_waited_for_once(deciding):
    """A cool-down after a cool-down is not: then Alertmanager's repetition is waited for, and decided anew."""
    responder = deciding(cool_down(), cool_down(), cool_down())

    async def _story(send, server):
        await send(webhook())
        await until(lambda: len(responder.handled), 2, "second look")
        await until(lambda: (len(server._later), len(server._pending)), (0, 0), "rest")
        assert await send(webhook()) == 1
        await until(lambda: len(responder.handled), 4, "the repetition, and its second look")

    live(responder, _story)


def test_what_another_rollback_refused_is_looked_at_when_that_has_ended_and_again_after_its_cool_down(deciding):
    """The lock was seen free: not before, and not only when its time is over."""
    responder = deciding(under_way(), cool_down())

    async def _story(send, server):
        await send(webhook())
        await until(lambda: len(server._later), 1, "waiting")
        await asyncio.sleep(0.05)
        assert len(responder.handled) == 1
        responder.free = True
        await until(lambda: len(responder.handled), 3, "a look for each reason")
        await until(lambda: f"f0@{START}" in server._final, True, "decided for good")

    live(responder, _story)


def test_a_rollback_that_does_not_end_is_waited_for_within_its_bound(deciding):
    """Whoever holds the lock may hang."""
    responder = deciding(under_way(0.1))

    async def _story(send, server):
        await send(webhook())
        await until(lambda: len(responder.handled), 2, "second look")

    live(responder, _story)


def test_an_alert_that_resolved_meanwhile_is_not_looked_at_again(deciding):
    """What it asked for is no longer asked for."""
    responder = deciding(cool_down(600.0))

    async def _story(send, server):
        await send(webhook())
        await until(lambda: len(server._later), 1, "waiting")
        await send(webhook("resolved"))
        assert len(server._later) == 0

    live(responder, _story)
    assert len(responder.handled) == 1


def test_a_repetition_while_it_waits_is_decided_at_once_and_takes_its_place(deciding):
    """Two looks at one occurrence would act twice."""
    responder = deciding(cool_down(600.0))

    async def _story(send, server):
        await send(webhook())
        await until(lambda: len(server._later), 1, "waiting")
        assert await send(webhook()) == 1
        await until(lambda: f"f0@{START}" in server._final, True, "decided for good")
        assert len(server._later) == 0

    live(responder, _story)
    assert len(responder.handled) == 2


def test_shutdown_does_not_wait_for_what_waits(deciding):
    """It is in the audit, and the next start takes it up."""
    responder = deciding(cool_down(600.0))

    async def _story(send, server):
        await send(webhook())
        await until(lambda: len(server._later), 1, "waiting")

    began = time.monotonic()
    live(responder, _story)
    assert time.monotonic() - began < 10


def test_what_waits_is_bounded_and_taken_as_there_is_room(alert):
    """The one that waited longest goes; what is being decided is left alone."""
    later = Later(most=2)
    looks = [Look(alert(mark=mark), "cool-down", at=1.0, since=0.0) for mark in ("a", "b", "c")]
    for look in looks:
        later.add(look)
    assert len(later) == 2
    assert later.due(0.9, lambda _: True, but=set(), room=9) == []
    assert later.due(1.0, lambda _: False, but={looks[1].alert.key}, room=9) == [looks[2]]
    assert later.due(1.0, lambda _: False, but=set(), room=0) == []
    assert later.due(1.0, lambda _: False, but=set(), room=1) == [looks[1]]


# -- after a restart --------------------------------------------------------------------------------------------------


@pytest.fixture
def audit_of(tmp_path):
    """``audit_of((kind, ago_s, data), ...)`` writes what an earlier run recorded, so many seconds ago."""

    def _write(*told):
        (alert,) = parse(webhook())
        lines = []
        for kind, ago_s, data in told:
            given = {**alert.record(), **data} if kind is Kind.WEBHOOK_RECEIVED else {"key": alert.key, **data}
            if "again_in_s" in given:
                given["again_at"] = time.time() + given.pop("again_in_s")
            record = {"at": time.time() - ago_s, "kind": kind.value, "alert": "Down", "message": "m", "data": given}
            lines.append(json.dumps(record) + "\n")
        (tmp_path / "audit.jsonl").write_text("".join(lines))

    return _write


def refused(name, again_in_s=None):
    more = {} if again_in_s is None else {"again_in_s": again_in_s}  # from when it is written
    return {"decision": "refuse", "refusal": name, "final": False, **more}


@pytest.mark.parametrize(("ago_s", "looks"), [(3 * 86400.0, 0), (CATCH_UP_S + 1, 0), (CATCH_UP_S - 30, 1)])
def test_an_alert_is_taken_up_after_a_restart_while_it_is_young(deciding, audit_of, ago_s, looks):
    """By the clock and not by the audit's last record: a responder that was away for days acts on nothing old."""
    audit_of((Kind.WEBHOOK_RECEIVED, ago_s, {}))
    responder = deciding()

    async def _story(send, server):
        await until(lambda: len(server._pending), 0, "rest")

    live(responder, _story)
    assert [late for _, late in responder.handled] == [True] * looks


@pytest.mark.parametrize(
    ("records", "undecided", "waiting"),
    [
        ([(Kind.DECIDED, 50.0, refused("unknown"))], 1, 0),
        ([(Kind.DECIDED, 50.0, refused("freeze"))], 0, 0),
        ([(Kind.DECIDED, 50.0, refused("cool-down", 500.0))], 0, 1),
        ([(Kind.DECIDED, 50.0, refused("cool-down", -10.0))], 0, 1),
        ([(Kind.DECIDED, 50.0, refused("cool-down", -301.0))], 0, 0),
        ([(Kind.DECIDED, 50.0, refused("under way", -20.0)), (Kind.DECIDED, 9.0, refused("cool-down", 9.0))], 0, 1),
        ([(Kind.DECIDED, 50.0, refused("cool-down", -20.0)), (Kind.DECIDED, 9.0, refused("cool-down", 9.0))], 0, 0),
        ([(Kind.DECIDED, 50.0, refused("cool-down", 9.0)), (Kind.ALERT_RESOLVED, 9.0, {})], 0, 0),
        ([(Kind.DECIDED, 50.0, refused("cool-down", 9.0)), (Kind.DECIDED, 9.0, {"final": True})], 0, 0),
    ],
)
def test_what_an_earlier_run_left_open_is_taken_up_as_that_run_would(deciding, audit_of, records, undecided, waiting):
    """What was not known now, a known end at that end, each reason once, nothing that resolved."""
    audit_of((Kind.WEBHOOK_RECEIVED, 60.0, {}), *records)
    left = left_behind(deciding().audit.since(0), time.time())
    assert (len(left.undecided), len(left.waiting)) == (undecided, waiting)


def test_a_long_cool_down_is_remembered_over_a_restart(deciding, audit_of):
    """However long ago the alert came: its bound begins where the reason was due to end."""
    audit_of((Kind.WEBHOOK_RECEIVED, 700.0, {}), (Kind.DECIDED, 699.0, refused("cool-down", 0.1)))
    responder = deciding()

    async def _story(send, server):
        await until(lambda: len(responder.handled), 1, "look")
        await until(lambda: f"f0@{START}" in server._final, True, "decided for good")

    live(responder, _story)
