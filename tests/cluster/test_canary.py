"""A canary against a real API: it goes alone, users first, and the stable release stays as it is."""

import time

import pytest
from responder_here import ERRORS, an_alert, responding

from muster.kube import MERGE
from muster.release import current_of, look_canary
from muster.responder.lock import Intent, Lock
from muster.wait import wait_until

NGINX = "nginx.ingress.kubernetes.io/canary"


@pytest.fixture
def canary(shop):
    """A canary of release 2 at 10% beside the stable release 1; its ingress' path."""
    deployment = shop.look().deployment
    labels = {"app": "web-canary"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "shop/web:2"}]}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-canary"}}
    body |= {"spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}}
    shop.kube.post(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments", body)
    folder = f"/apis/networking.k8s.io/v1/namespaces/{shop.namespace}/ingresses"
    notes = {NGINX: "true", f"{NGINX}-weight": "10"}
    backend = {"service": {"name": "web-canary", "port": {"number": 80}}}
    rule = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web-canary"}}
    ingress["metadata"]["annotations"] = notes
    shop.kube.post(folder, {**ingress, "spec": {"rules": [rule]}})
    wait_until(
        lambda: shop.kube.get(f"{shop.path}-canary")["status"].get("availableReplicas"),
        bool,
        what="no canary",
        timeout_s=20,
    )
    assert deployment["metadata"]["generation"] == 1
    return f"{folder}/web-canary"


CANARY = {"strategy": "canary", "canary": {"ingress": "web-canary", "deployment": "web-canary", "drain": "12s"}}


def test_canary_is_aborted_users_first_and_the_stable_release_stays(shop, canary):
    """Weight 0, then no replicas; proven by ingress and pods, the stable Deployment is not touched."""
    shop.monitoring.tells = lambda query, _at: 0.3 if "web-canary-" in query else 0.0
    with responding(shop, rollback=CANARY) as acting:
        acting.handle(an_alert())
    (decided,) = acting.of("decided")
    assert (decided["decision"], decided["comparison"]["blames"]) == ("roll back", True)
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert acting.of("symptom.gone")[0]["verdict"] == "PASS"
    assert len(acting.of("traffic.off")) == 1
    assert shop.kube.get(canary)["metadata"]["annotations"][f"{NGINX}-weight"] == "0"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 0
    assert shop.look().deployment["metadata"]["generation"] == 1
    assert shop.images() == ["shop/web:1"] * 3


BESIDE = {"canary": {**CANARY["canary"], "metric_selector": 'app="web-canary"'}}  # releases go back by their own undo


def test_alert_of_the_canary_aborts_it_where_releases_are_undone_otherwise(shop, canary):
    """The stable Deployment has a way back, and it is not taken."""
    shop.release("shop/web:3")
    generation = shop.look().deployment["metadata"]["generation"]
    shop.monitoring.tells = lambda query, _at: 0.3 if "web-canary-" in query else 0.0
    with responding(shop, rollback=BESIDE) as acting:
        acting.handle(an_alert(release="canary"))
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert acting.of("symptom.gone")[0]["verdict"] == "PASS"
    assert shop.kube.get(canary)["metadata"]["annotations"][f"{NGINX}-weight"] == "0"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 0
    assert shop.look().deployment["metadata"]["generation"] == generation
    assert shop.images() == ["shop/web:3"] * 3


def test_alert_of_the_whole_leaves_the_canary_alone(shop, canary):
    """It is the stable release that goes back."""
    shop.release("shop/web:3")
    with responding(shop, rollback=BESIDE) as acting:
        acting.handle(an_alert())
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert shop.images() == ["shop/web:1"] * 3
    assert shop.kube.get(canary)["metadata"]["annotations"][f"{NGINX}-weight"] == "10"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 1


def test_abort_that_a_crash_interrupted_is_resumed_as_an_abort(shop, canary):
    """The intent names the Deployment at fault; nothing else is left of the alert."""
    with responding(shop, rollback=BESIDE) as acting:
        seen = look_canary(shop.kube, shop.env)
        bad, target = current_of(seen.canary, "web"), current_of(seen.stable, "web")
        lock = Lock(shop.kube, shop.namespace, "web", "me/127.0.0.1:1")
        lock.take(lock.read(), Intent(alert=ERRORS, key="k", bad=bad, target=target, decided_at=time.time()))
        assert acting.responder.resume() is True
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 0
    assert shop.look().deployment["metadata"]["generation"] == 1


def test_canary_that_is_no_worse_than_the_stable_release_is_not_aborted(shop, canary):
    """The baseline suffers as much: it is not this release's fault."""
    shop.monitoring.tells = lambda query, _at: 0.3 if "web-canary-" in query else 0.28
    with responding(shop, rollback=CANARY) as acting:
        acting.handle(an_alert())
    assert acting.of("decided")[0]["refusal"] == "baseline suffers"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 1


def test_canary_without_traffic_is_no_way_back(shop, canary):
    """At weight 0 no user of it suffers, so aborting it would heal nothing."""
    shop.kube.patch(canary, {"metadata": {"annotations": {f"{NGINX}-weight": "0"}}}, kind=MERGE)
    with responding(shop, rollback=CANARY) as acting:
        acting.handle(an_alert())
    assert acting.of("decided")[0]["refusal"] == "no way back"
    assert "weight 0" in acting.of("decided")[0]["message"]


def test_canary_that_served_well_for_longer_than_the_margin_is_not_aborted(shop, canary):
    """As a release is not: the fault is younger than it by more than may be its doing."""
    shop.monitoring.tells = lambda query, _at: 0.3 if "web-canary-" in query else 0.0
    with responding(shop, rollback={**CANARY, "release_margin": "1m"}) as acting:  # a second here
        acting.handle(an_alert())
    assert acting.of("decided")[0]["refusal"] == "served well"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 1
