"""The responder's own life: large webhooks, mistakes of its own, a second one on its address."""

import asyncio
import socket

import pytest
from aiohttp.test_utils import TestClient, TestServer

from muster.cli.respond import _listening
from muster.errors import MusterError
from muster.responder import server as serving
from muster.responder.audit import Audit
from muster.responder.decide import Refusal
from muster.responder.recent import Recent
from muster.responder.server import Server
from muster.timeline import Kind
from muster.wait import wait_until

TOKEN = "a-token-of-some-length"  # noqa: S105


class Patient:
    """A responder that decides nothing until it is let, and whose looks at the cluster may go wrong."""

    def __init__(self, audit):
        self.audit, self.handled, self.looks = audit, [], 0
        self.stop = self.pulse = self.escalation = self
        self.wrong = None
        self.blind_looks = 0

    def set(self):
        """Of ``stop``."""

    def free_since(self, _moment):
        """Of ``pulse``."""
        return False

    def take(self):
        """Of ``pulse``."""

    def retry(self):
        """Of ``escalation``."""

    def observe(self):
        return False

    def handle(self, alert, late=False):
        self.handled.append(alert.key)
        return len(self.handled) > self.blind_looks

    def left_open(self, alert):
        blind = len(self.handled) <= self.blind_looks
        return Refusal("unknown", "it could not be read", passing=True) if blind else None

    def resume(self):
        self.looks += 1
        if self.wrong is not None:
            raise self.wrong


@pytest.fixture
def patient(tmp_path):
    audit = Audit(tmp_path / "audit.jsonl")
    yield Patient(audit)
    audit.close()


def webhook(count):
    """So many alerts in one payload."""
    alerts = [
        {"status": "firing", "labels": {"alertname": "Down", "n": str(n)}, "fingerprint": f"f{n}", "startsAt": START}
        for n in range(count)
    ]
    return {"version": "4", "alerts": alerts}


START = "2026-11-21T05:01:02.5Z"


async def _post(server, *payloads):
    async with TestClient(TestServer(server.app())) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answers = [await client.post("/alerts", json=payload, headers=headers) for payload in payloads]
        return [(answer.status, await answer.json()) for answer in answers]


def test_the_largest_webhook_is_taken_when_nothing_else_is_at_work(patient):
    """Refused, it would come again as large as it was: Alertmanager does not divide a group."""
    ((status, body),) = asyncio.run(_post(Server(patient, TOKEN), webhook(200)))
    assert (status, body["new"]) == (200, 200)
    assert len(patient.handled) == 200


def test_what_is_known_does_not_count_against_the_limit(patient):
    """A large group that is repeated brings no work."""
    server = Server(patient, TOKEN)
    server._final.update(f"f{n}@{START}" for n in range(150))
    server._pending.add("another")
    assert asyncio.run(_post(server, webhook(150)))[0] == (200, {"received": 150, "new": 0})
    server._final.clear()
    assert asyncio.run(_post(server, webhook(150)))[0][0] == 503


def test_a_mistake_of_its_own_does_not_end_its_watch(patient, monkeypatch):
    """It is on record once, and the next look is taken: what a crash left must still be resumed."""
    monkeypatch.setattr(serving, "_RESUME_EVERY_S", 0.01)
    patient.wrong = TypeError("an intent that nobody can read")

    async def _live():
        async with TestClient(TestServer(Server(patient, TOKEN).app())):
            await asyncio.to_thread(wait_until, lambda: patient.looks, lambda n: n > 3, what="looks", timeout_s=10)

    asyncio.run(_live())
    (note,) = [record for record in patient.audit.since(0) if record["kind"] == Kind.NOTE.value]
    assert "nobody can read" in note["message"]


def test_a_second_responder_cannot_have_the_address_of_one_that_starts():
    """Both would act under one name, and take each other's lock for their own."""
    with _listening("127.0.0.1", 0) as first, pytest.raises(MusterError, match="cannot listen"):
        _listening("127.0.0.1", first.getsockname()[1])
    assert first.family is socket.AF_INET


def test_what_could_not_be_known_is_looked_at_again_by_itself(patient, monkeypatch):
    """Alertmanager repeats after hours; within a bound the responder asks again, and then decides for good."""
    monkeypatch.setattr(serving, "_RELOOKS_S", (0.01, 0.01, 0.01))
    patient.blind_looks = 2
    server = Server(patient, TOKEN)
    asyncio.run(_post_and_wait(server, patient, 3))
    assert f"f0@{START}" in server._final
    patient.handled.clear()
    patient.blind_looks = 99
    blind = Server(patient, TOKEN)
    asyncio.run(_post_and_wait(blind, patient, 4))
    assert not blind._final
    assert not blind._pending


def test_an_alert_that_resolved_is_not_looked_at_again(patient, monkeypatch):
    """What it asked for is no longer asked for."""
    monkeypatch.setattr(serving, "_RELOOKS_S", (4.0, 4.0))  # time enough to resolve on a busy machine
    patient.blind_looks = 99
    resolved = webhook(1)
    resolved["alerts"][0]["status"] = "resolved"

    async def _live():
        server = Server(patient, TOKEN)
        async with TestClient(TestServer(server.app())) as client:
            for payload in (webhook(1), resolved):
                await client.post("/alerts", json=payload, headers={"Authorization": f"Bearer {TOKEN}"})
            await asyncio.to_thread(wait_until, lambda: server._pending, lambda p: not p, what="the end", timeout_s=10)

    asyncio.run(_live())
    assert len(patient.handled) == 1


async def _post_and_wait(server, patient, looks):
    """One alert; until it is no longer pending after so many looks."""
    async with TestClient(TestServer(server.app())) as client:
        await client.post("/alerts", json=webhook(1), headers={"Authorization": f"Bearer {TOKEN}"})
        done = lambda: (len(patient.handled), len(server._pending))  # noqa: E731
        await asyncio.to_thread(wait_until, done, lambda seen: seen == (looks, 0), what="looks", timeout_s=10)


def test_what_is_decided_for_good_is_kept_within_a_bound():
    """The one that was not asked for longest goes: an alert that is repeated for days stays known."""
    recent = Recent(("a", "b"), most=2)
    assert "a" in recent
    recent.add("c")
    assert ("a" in recent, "b" in recent, "c" in recent, len(recent)) == (True, False, True, 2)
