"""``muster respond`` that ends in the middle of its work, by a crash or as told: nothing is lost, or done twice."""

import json
import signal
import time

from responder_process import ERRORS, lease_of, responding, webhook

from muster.release import current, previous
from muster.responder.lock import INTENT, Intent, Lock
from muster.wait import wait_until


def test_crash_between_undo_and_proof_is_resumed(shop):
    """SIGKILL while the rollout hangs; the next start proves it, without a second undo."""
    shop.release("shop/web:2")
    shop.kubelet.paused.set()
    port = None
    with responding(shop) as (caller, child):
        port = caller.http.base_url.port
        caller.alert(webhook())
        caller.until("rollback.started")
        child.kill()
        child.wait(10)
    generation = shop.look().deployment["metadata"]["generation"]
    shop.kubelet.paused.clear()
    with responding(shop, port) as (caller, _):
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
    lease = lease_of(shop)
    lease["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
    shop.kube.put(f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases/muster-rollback-web", lease)
    with responding(shop) as (caller, _):
        assert caller.until("rollback.proven")[-1]["data"]["verdict"] == "PASS"
    assert shop.images() == ["shop/web:1"] * 3


def test_crash_while_the_symptom_is_watched_is_resumed_there(shop):
    """Neither undone nor proven twice, though the next responder has another audit: the Lease says how far it was."""
    shop.release("shop/web:2")
    shop.monitoring.tells = lambda _query, at: 0.01 if at else 0.15
    with responding(shop) as (caller, child):
        port = caller.http.base_url.port
        caller.alert(webhook())
        caller.until("rollback.proven")
        intent = wait_until(
            lambda: json.loads(lease_of(shop)["metadata"]["annotations"][INTENT]),
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
    with responding(shop, port) as (caller, _):
        records = caller.until("symptom.gone")
    assert records[-1]["data"]["verdict"] == "PASS"
    assert not [record for record in records if record["kind"] in ("rollback.started", "rollback.proven")]
    assert shop.look().deployment["metadata"]["generation"] == generation
    assert shop.monitoring.posted == []


def test_alert_received_but_not_decided_before_a_crash_is_decided(shop):
    """Alertmanager had its 200 and will not come again for hours; users still suffer."""
    shop.release("shop/web:2")
    shop.monitoring.tells = lambda _query, at: 0.01 if at else 0.15
    alert = webhook()["alerts"][0]
    data = {"key": f"f1@{alert['startsAt']}", "fingerprint": "f1", "starts_at": alert["startsAt"]}
    data |= {"status": "firing", "labels": alert["labels"]}
    record = {"at": time.time(), "kind": "webhook.received", "alert": ERRORS, "message": "firing", "data": data}
    (shop.folder / "audit.jsonl").write_text(json.dumps(record) + "\n")
    with responding(shop) as (caller, _):
        assert caller.until("rollback.proven")[-1]["data"]["verdict"] == "PASS"


def test_sigterm_ends_it_at_once(shop):
    """With a rollback under way too: the Lease keeps the intent."""
    shop.release("shop/web:2")
    shop.kubelet.paused.set()
    with responding(shop) as (caller, child):
        caller.alert(webhook())
        caller.until("rollback.started")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    shop.kubelet.paused.clear()
    assert INTENT in lease_of(shop)["metadata"]["annotations"]
