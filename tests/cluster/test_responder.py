"""``muster respond`` as its own process: what it does with Alertmanager's webhooks."""

import json
import time

import pytest
from responder_process import LATENCY, lease_of, responding, webhook

from muster.release import current, observe, previous
from muster.responder.lock import INTENT, LAST, Intent, Lock
from muster.wait import wait_until


@pytest.fixture
def caller(shop):
    """A responder beside a shop that runs its first release."""
    with responding(shop) as (caller, _):
        yield caller


def _events(shop, reason):
    items = shop.kube.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"]
    return [item["message"] for item in items if item["reason"] == reason]


def test_rollback_trigger_is_rolled_back_and_proven(shop, caller):
    """The whole chain in the audit, in order, and the build that served before serves again."""
    observe(shop.kube, shop.look(), "web")
    good = current(shop.kube, shop.env)
    shop.release("shop/web:2")
    caller.alert(webhook())
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
        lambda: lease_of(shop), lambda lease: not lease["spec"]["holderIdentity"], what="lock held", timeout_s=20
    )
    assert json.loads(lease["metadata"]["annotations"][LAST])["from_revision"] == 2
    assert INTENT not in lease["metadata"]["annotations"]


def test_repeated_and_replayed_webhooks_act_once(shop, caller):
    """The same occurrence, three times, and once more after the proof."""
    shop.release("shop/web:2")
    payload = webhook()
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
    caller.alert({**webhook(), "alerts": webhook()["alerts"] + webhook(LATENCY, mark="f2")["alerts"]})
    caller.until("symptom.gone")
    wait_until(lambda: lease_of(shop)["spec"]["holderIdentity"], lambda me: not me, what="lock held", timeout_s=20)
    caller.alert(webhook(LATENCY, mark="f3"))

    def decided():  # f2 maybe twice: it is looked at again when nothing is under way any more
        return [record["data"] for record in caller.audit() if record["kind"] == "decided"]

    marks = lambda: {data["key"].partition("@")[0] for data in decided()}  # noqa: E731
    wait_until(marks, lambda seen: seen == {"f1", "f2", "f3"}, what="not every alert is decided", timeout_s=60)
    assert [data["decision"] for data in decided() if data["decision"] != "refuse"] == ["roll back"]
    assert [data["refusal"] for data in decided() if data["key"].startswith("f3@")] == ["cool-down"]
    assert shop.images() == ["shop/web:1"] * 3


def test_cool_down_survives_a_restart(shop):
    """The last rollback is in the Lease, not in the process."""
    shop.release("shop/web:2")
    with responding(shop) as (caller, _):
        caller.alert(webhook())
        caller.until("symptom.gone")
        wait_until(lambda: lease_of(shop)["spec"]["holderIdentity"], lambda me: not me, what="lock held", timeout_s=20)
    (shop.folder / "audit.jsonl").unlink()
    shop.release("shop/web:3")
    with responding(shop) as (caller, _):
        caller.alert(webhook())
        (decided,) = [record for record in caller.until("decided") if record["kind"] == "decided"]
    assert decided["data"]["decision"] == "refuse"
    assert "cool-down" in decided["message"]


def test_first_release_is_refused_with_an_event(shop, caller):
    """No previous revision: a sentence in the audit and on the Deployment, nothing changed."""
    caller.alert(webhook())
    decided = caller.until("decided")[-1]
    assert (decided["data"]["decision"], decided["data"]["refusal"]) == ("refuse", "no way back")
    wait_until(lambda: _events(shop, "RollbackRefused"), bool, what="no Event", timeout_s=20)
    assert shop.look().deployment["metadata"]["generation"] == 1


def test_fault_that_is_older_than_the_release_is_refused(shop, caller):
    """It began a minute before this release was there."""
    shop.release("shop/web:2")
    caller.alert(webhook(age_s=60))
    assert "not its fault" in caller.until("decided")[-1]["message"]


def test_resolved_alert_asks_for_nothing(shop, caller):
    """Recorded as what it is."""
    caller.alert(webhook(status="resolved"))
    assert [record["kind"] for record in caller.audit()] == ["alert.resolved"]


def test_lock_of_another_responder_is_respected(shop, caller):
    """Two never act; the alert stays open for its next repetition."""
    shop.release("shop/web:2")
    other = Lock(shop.kube, shop.namespace, "web", "other/127.0.0.1:1")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    other.take(other.read(), Intent(alert="A", key="k", bad=bad, target=target, decided_at=time.time()))
    payload = webhook()
    caller.alert(payload)
    decided = caller.until("decided")[-1]
    assert (decided["data"]["refusal"], decided["data"]["final"]) == ("under way", False)
    other.release(None)
    wait_until(lambda: caller.alert(payload)["new"], bool, what="still pending", timeout_s=20)
    assert caller.until("rollback.proven")[-1]["data"]["verdict"] == "PASS"


def test_release_that_was_rolled_back_is_not_gone_back_to(shop):
    """Undoing the undo would bring the bad release back: after the cool-down that is what stands in the way."""
    shop.write_facts(rollback={"timeout": "60s", "cool_down": "0s"})
    shop.release("shop/web:2")
    with responding(shop) as (caller, _):
        caller.alert(webhook())
        caller.until("rollback.proven")
        wait_until(lambda: lease_of(shop)["spec"]["holderIdentity"], lambda me: not me, what="lock held", timeout_s=20)
        caller.alert(webhook(LATENCY, mark="f2"))
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
    with responding(idle_shop) as (caller, _):
        yield caller
