"""``muster respond`` as its own process: what it does with Alertmanager's webhooks."""

import json
import signal
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest

from muster.release import current, observe, previous
from muster.responder.lock import INTENT, LAST, Intent, Lock
from muster.wait import wait_until

ERRORS, LATENCY = "X0TTA6BL4ErrorRatioRollback", "X0TTA6BL4LatencyRollback"


def _payload(name=ERRORS, *, mark="f1", age_s=-10.0, status="firing", **labels):
    """A webhook, by default as if its alert's waiting time (10 scaled minutes at most) were over."""
    labels = {"alertname": name, "action": "rollback", "system": "x0tta6bl4", "environment": "here", **labels}
    starts_at = datetime.fromtimestamp(time.time() - age_s, UTC).isoformat().replace("+00:00", "Z")
    alert = {"status": status, "labels": labels, "annotations": {}, "startsAt": starts_at, "fingerprint": mark}
    return {"version": "4", "status": status, "alerts": [alert]}


class Caller:
    """Alertmanager's and the drill's side of the responder."""

    def __init__(self, http):
        self.http = http

    def alert(self, payload, status=200):
        answer = self.http.post("/alerts", json=payload)
        assert answer.status_code == status, answer.text
        return answer.json()

    def audit(self):
        return self.http.get("/audit", params={"since": "0"}).json()["records"]

    def until(self, kind, count=1, timeout_s=60):
        """All records as soon as so many of that kind are among them."""
        return wait_until(
            self.audit,
            lambda records: sum(record["kind"] == kind for record in records) >= count,
            what=f"no {count} {kind} in the audit",
            timeout_s=timeout_s,
            every_s=0.02,
            show=lambda records: str([record["message"] for record in records]),
        )


@contextmanager
def _responding(shop, port=None):
    with shop.responder(port) as (address, token, child):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, timeout=5, trust_env=False) as http:
            wait_until(
                lambda: http.get("/healthz").status_code,
                lambda status: status == 200,
                what="the responder did not listen",
                timeout_s=60,
                tolerate=(httpx.TransportError,),
            )
            yield Caller(http), child


@pytest.fixture
def caller(shop):
    """A responder beside a shop that runs its first release."""
    with _responding(shop) as (caller, _):
        yield caller


def _events(shop, reason):
    items = shop.kube.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"]
    return [item["message"] for item in items if item["reason"] == reason]


def _lease(shop):
    return shop.kube.get(f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases/muster-rollback-web")


def test_rollback_trigger_is_rolled_back_and_proven(shop, caller):
    """The whole chain in the audit, in order, and the build that served before serves again."""
    observe(shop.kube, shop.look(), "web")
    good = current(shop.kube, shop.env)
    shop.release("shop/web:2")
    caller.alert(_payload())
    records = caller.until("symptom.gone")
    kinds = [record["kind"] for record in records]
    chain = ["webhook.received", "decided", "rollback.started", "traffic.off", "rollback.proven", "symptom.gone"]
    assert kinds == chain
    assert records[1]["data"]["decision"] == "roll back"
    assert records[1]["data"]["comparison"]["blames"] is None
    assert records[4]["data"]["verdict"] == "PASS", records[4]["message"]
    assert records[5]["data"]["verdict"] == "PASS", records[5]["message"]
    assert records[4]["data"]["digests"] == sorted(good.digests)
    assert [record["at"] for record in records] == sorted(record["at"] for record in records)
    assert shop.images() == ["shop/web:1"] * 3
    assert shop.monitoring.posted == []
    for reason in ("RollingBack", "RolledBack", "SymptomGone"):
        wait_until(lambda: _events(shop, reason), bool, what=f"no Event {reason}", timeout_s=20)  # noqa: B023
    lease = wait_until(
        lambda: _lease(shop), lambda lease: not lease["spec"]["holderIdentity"], what="lock held", timeout_s=20
    )
    assert json.loads(lease["metadata"]["annotations"][LAST])["from_revision"] == 2
    assert INTENT not in lease["metadata"]["annotations"]


def test_repeated_and_replayed_webhooks_act_once(shop, caller):
    """The same occurrence, three times, and once more after the proof."""
    shop.release("shop/web:2")
    payload = _payload()
    assert caller.alert(payload)["new"] == 1
    assert caller.alert(payload)["new"] == 0
    caller.until("rollback.proven")
    assert caller.alert(payload)["new"] == 0
    records = caller.until("webhook.received", 3)
    assert [record["data"]["repeated"] for record in records if record["kind"] == "webhook.received"] == [
        False,
        True,
        True,
    ]
    assert sum(record["kind"] == "decided" for record in records) == 1


def test_second_trigger_during_or_after_a_rollback_is_refused(shop, caller):
    """The bad release fires several alerts: the first acts, the other finds a rollback under way or a cool-down."""
    shop.release("shop/web:2")
    caller.alert({**_payload(), "alerts": _payload()["alerts"] + _payload(LATENCY, mark="f2")["alerts"]})
    caller.until("symptom.gone")
    wait_until(lambda: _lease(shop)["spec"]["holderIdentity"], lambda me: not me, what="lock held", timeout_s=20)
    caller.alert(_payload(LATENCY, mark="f3"))
    records = caller.until("decided", 3)
    decided = [record["data"] for record in records if record["kind"] == "decided"]
    assert sorted(data["decision"] for data in decided) == ["refuse", "refuse", "roll back"]
    assert "cool-down" in {data.get("refusal") for data in decided}
    assert shop.images() == ["shop/web:1"] * 3


def test_cool_down_survives_a_restart(shop):
    """The last rollback is in the Lease, not in the process."""
    shop.release("shop/web:2")
    with _responding(shop) as (caller, _):
        caller.alert(_payload())
        caller.until("symptom.gone")
        wait_until(lambda: _lease(shop)["spec"]["holderIdentity"], lambda me: not me, what="lock held", timeout_s=20)
    (shop.folder / "audit.jsonl").unlink()
    shop.release("shop/web:3")
    with _responding(shop) as (caller, _):
        caller.alert(_payload())
        (decided,) = [record for record in caller.until("decided") if record["kind"] == "decided"]
    assert decided["data"]["decision"] == "refuse"
    assert "cool-down" in decided["message"]


def test_first_release_is_refused_with_an_event(shop, caller):
    """No previous revision: a sentence in the audit and on the Deployment, nothing changed."""
    caller.alert(_payload())
    decided = caller.until("decided")[-1]
    assert (decided["data"]["decision"], decided["data"]["refusal"]) == ("refuse", "no way back")
    wait_until(lambda: _events(shop, "RollbackRefused"), bool, what="no Event", timeout_s=20)
    assert shop.look().deployment["metadata"]["generation"] == 1


def test_fault_that_is_older_than_the_release_is_refused(shop, caller):
    """It began a minute before this release was there."""
    shop.release("shop/web:2")
    caller.alert(_payload(age_s=60))
    assert "not its fault" in caller.until("decided")[-1]["message"]


def test_resolved_alert_asks_for_nothing(shop, caller):
    """Recorded as what it is."""
    caller.alert(_payload(status="resolved"))
    assert [record["kind"] for record in caller.audit()] == ["alert.resolved"]


def test_lock_of_another_responder_is_respected(shop, caller):
    """Two never act; the alert stays open for its next repetition."""
    shop.release("shop/web:2")
    other = Lock(shop.kube, shop.namespace, "web", "other/127.0.0.1:1")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    other.take(other.read(), Intent(alert="A", key="k", bad=bad, target=target, decided_at=time.time()))
    payload = _payload()
    caller.alert(payload)
    decided = caller.until("decided")[-1]
    assert (decided["data"]["refusal"], decided["data"]["final"]) == ("under way", False)
    other.release(None)
    wait_until(lambda: caller.alert(payload)["new"], bool, what="still pending", timeout_s=20)
    assert caller.until("rollback.proven")[-1]["data"]["verdict"] == "PASS"


def test_crash_between_undo_and_proof_is_resumed(shop):
    """SIGKILL while the rollout hangs; the next start proves it, without a second undo."""
    shop.release("shop/web:2")
    shop.kubelet.paused.set()
    port = None
    with _responding(shop) as (caller, child):
        port = caller.http.base_url.port
        caller.alert(_payload())
        caller.until("rollback.started")
        child.kill()
        child.wait(10)
    generation = shop.look().deployment["metadata"]["generation"]
    shop.kubelet.paused.clear()
    with _responding(shop, port) as (caller, _):
        records = caller.until("rollback.proven")
    assert records[-1]["data"]["verdict"] == "PASS"
    assert sum(record["kind"] == "rollback.started" for record in records) == 1
    assert any("resumed" in record["message"] for record in records)
    assert shop.look().deployment["metadata"]["generation"] == generation


def test_crash_between_lock_and_undo_is_resumed(shop):
    """The intent alone is enough, once the crashed holder's lease has run out."""
    shop.release("shop/web:2")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    dead = Lock(shop.kube, shop.namespace, "web", "dead/127.0.0.1:1")
    dead.take(dead.read(), Intent(alert=ERRORS, key="k", bad=bad, target=target, decided_at=time.time()))
    lease = _lease(shop)
    lease["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
    shop.kube.put(f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases/muster-rollback-web", lease)
    with _responding(shop) as (caller, _):
        assert caller.until("rollback.proven")[-1]["data"]["verdict"] == "PASS"
    assert shop.images() == ["shop/web:1"] * 3


def test_crash_while_the_symptom_is_watched_is_resumed_there(shop):
    """Neither undone nor proven twice, though the next responder has another audit: the Lease says how far it was."""
    shop.release("shop/web:2")
    shop.monitoring.tells = lambda _query, at: 0.01 if at else 0.15
    with _responding(shop) as (caller, child):
        port = caller.http.base_url.port
        caller.alert(_payload())
        caller.until("rollback.proven")
        intent = wait_until(
            lambda: json.loads(_lease(shop)["metadata"]["annotations"][INTENT]),
            lambda intent: intent["proven"],
            what="the Lease does not say that it is proven",
            timeout_s=20,
        )
        child.kill()
        child.wait(10)
    assert intent["alert"] == ERRORS
    generation = shop.look().deployment["metadata"]["generation"]
    (shop.folder / "audit.jsonl").unlink()
    shop.monitoring.tells = lambda _query, _at: 0.0
    with _responding(shop, port) as (caller, _):
        records = caller.until("symptom.gone")
    assert records[-1]["data"]["verdict"] == "PASS"
    assert not [record for record in records if record["kind"] in ("rollback.started", "rollback.proven")]
    assert shop.look().deployment["metadata"]["generation"] == generation
    assert shop.monitoring.posted == []


def test_alert_received_but_not_decided_before_a_crash_is_decided(shop):
    """Alertmanager had its 200 and will not come again for hours."""
    shop.release("shop/web:2")
    alert = _payload()["alerts"][0]
    data = {"key": f"f1@{alert['startsAt']}", "fingerprint": "f1", "starts_at": alert["startsAt"]}
    data |= {"status": "firing", "labels": alert["labels"]}
    record = {"at": time.time(), "kind": "webhook.received", "alert": ERRORS, "message": "firing", "data": data}
    (shop.folder / "audit.jsonl").write_text(json.dumps(record) + "\n")
    with _responding(shop) as (caller, _):
        assert caller.until("rollback.proven")[-1]["data"]["verdict"] == "PASS"


def test_release_that_was_rolled_back_is_not_gone_back_to(shop):
    """Undoing the undo would bring the bad release back: after the cool-down that is what stands in the way."""
    shop.write_facts(rollback={"timeout": "60s", "cool_down": "0s"})
    shop.release("shop/web:2")
    with _responding(shop) as (caller, _):
        caller.alert(_payload())
        caller.until("rollback.proven")
        wait_until(lambda: _lease(shop)["spec"]["holderIdentity"], lambda me: not me, what="lock held", timeout_s=20)
        caller.alert(_payload(LATENCY, mark="f2"))
        decided = caller.until("decided", 2)[-1]
    assert decided["data"]["refusal"] == "previous was bad"


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"method": "POST", "url": "/alerts", "json": {}, "headers": {"Authorization": "Bearer no"}}, 401, "bearer"),
        ({"method": "GET", "url": "/audit", "headers": {"Authorization": ""}}, 401, "bearer"),
        ({"method": "GET", "url": "/audit?since=now"}, 400, "not a number"),
        ({"method": "POST", "url": "/alerts", "content": b"{"}, 400, "not JSON"),
        ({"method": "POST", "url": "/alerts", "content": b"[" * 100_000}, 400, "not JSON"),
        ({"method": "POST", "url": "/alerts", "json": {"version": "3"}}, 400, "version 4"),
        ({"method": "POST", "url": "/alerts", "content": b" " * (1024 * 1024 + 1)}, 413, "larger than"),
        ({"method": "GET", "url": "/alerts"}, 405, "not allowed"),
        ({"method": "GET", "url": "/nothing"}, 404, "not found"),
    ],
)
def test_bad_request_is_answered_with_a_sentence(idle, request_, status, words):
    """And leaves nothing in the audit."""
    answer = idle.http.request(**request_)
    assert answer.status_code == status
    assert words in answer.json()["error"].lower() or words in answer.json()["error"]
    assert idle.audit() == []


@pytest.fixture(scope="module")
def idle(idle_shop):
    """One responder for all the requests that it must refuse."""
    with _responding(idle_shop) as (caller, _):
        yield caller


def test_sigterm_ends_it_at_once(shop):
    """With a rollback under way too: the Lease keeps the intent."""
    shop.release("shop/web:2")
    shop.kubelet.paused.set()
    with _responding(shop) as (caller, child):
        caller.alert(_payload())
        caller.until("rollback.started")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    shop.kubelet.paused.clear()
    assert INTENT in _lease(shop)["metadata"]["annotations"]
