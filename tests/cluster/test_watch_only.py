"""Where others roll back: strategy ``none`` decides and does nothing, and what may revert an undo is named."""

import pytest
from responder_here import an_alert, responding

from muster.kube import MERGE, KubeError
from muster.release import RollbackRefused
from muster.responder import engine

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_strategy_none_says_what_it_would_do_and_does_nothing(shop):
    """On record and as an Event; the bad release serves on, no lock is taken, nothing is remembered."""
    shop.release("shop/web:2")
    with responding(shop, rollback={"strategy": "none"}) as acting:
        assert acting.handle(an_alert()) is True
        assert acting.responder.observe() is True
        (decided,) = acting.of("decided")
        assert acting.of("rollback.started") == []
    assert (decided["decision"], decided["final"]) == ("would roll back", True)
    assert "goes back to revision 1" in decided["message"]
    assert "rollback strategy is none" in decided["message"]
    assert decided["comparison"] is not None
    assert shop.images() == ["shop/web:2"] * 3
    assert shop.kube.get(f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases")["items"] == []
    assert shop.kube.find(f"/api/v1/namespaces/{shop.namespace}/configmaps/muster-releases") is None
    events = shop.kube.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"]
    assert "WouldRollBack" in {event["reason"] for event in events}


def test_strategy_none_refuses_for_the_same_reasons(shop):
    """What would not be rolled back is said as ever."""
    with responding(shop, rollback={"strategy": "none"}) as acting:
        acting.handle(an_alert())
        (decided,) = acting.of("decided")
    assert decided["refusal"] == "no way back"


@pytest.fixture
def rollout(shop):
    """An Argo Rollout in place of the shop's Deployment."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "rollouts", "singular": "rollout", "kind": "Rollout", "listKind": "RolloutList"}
    spec = {"group": "argoproj.io", "scope": "Namespaced", "names": names, "versions": [version]}
    made = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}
    shop.kube.post(CRDS, made | {"metadata": {"name": "rollouts.argoproj.io"}})
    one = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}, "spec": {}}
    shop.kube.post(f"/apis/argoproj.io/v1alpha1/namespaces/{shop.namespace}/rollouts", one)
    shop.kube.delete(shop.path)
    yield
    shop.kube.delete(f"{CRDS}/rollouts.argoproj.io")
    shop.create()


def test_rollout_in_place_of_a_deployment_is_named(shop, rollout, monkeypatch):
    """Not a bare 404: what is there, and what to write into the facts."""
    monkeypatch.setattr(engine, "_RETRIES_S", ())
    with responding(shop) as acting:
        assert acting.handle(an_alert()) is False
        (decided,) = acting.of("decided")
    assert decided["refusal"] == "unknown"
    for words in (f"no deployment web in namespace {shop.namespace}", "Argo Rollout", "rollback.strategy none"):
        assert words in decided["message"]


def test_strategy_none_decides_for_a_rollout_too(shop, rollout):
    """What it would go back to is Argo Rollouts' to know; that it was asked is on record."""
    with responding(shop, rollback={"strategy": "none"}) as acting:
        assert acting.handle(an_alert()) is True
        (decided,) = acting.of("decided")
    assert decided["decision"] == "would roll back"
    assert "what an undo would go back to is not known" in decided["message"]


def test_missing_deployment_is_said_in_words(shop, monkeypatch):
    """Where no Rollout is there either, or nobody may look."""
    monkeypatch.setattr(engine, "_RETRIES_S", ())
    with responding(shop) as acting:
        shop.kube.delete(shop.path)
        acting.handle(an_alert())
        (decided,) = acting.of("decided")
    shop.create()
    assert decided["message"].endswith(f"there is no deployment web in namespace {shop.namespace}")


def test_who_may_revert_the_undo_stands_in_the_decision(shop):
    """The undo is proven, and minutes later git's release is back: people are told before."""
    shop.release("shop/web:2")
    note = {"argocd.argoproj.io/tracking-id": f"shop-app:apps/Deployment:{shop.namespace}/web"}
    shop.kube.patch(shop.path, {"metadata": {"annotations": note}}, kind=MERGE)
    with responding(shop) as acting:
        acting.handle(an_alert())
        (decided,) = acting.of("decided")
    assert decided["keeper"] == "Argo CD (application shop-app)"
    assert "may revert it" in decided["message"]


def test_intent_that_another_strategy_left_is_not_carried_out_by_none(shop):
    """Whoever has switched it off is believed; people are paged that it was not finished."""
    shop.release("shop/web:2")
    with responding(shop, rollback={"strategy": "none"}) as acting:
        way = acting.responder._course.strategy
        view = way.look()
        with pytest.raises(RollbackRefused, match="strategy is none by now"):
            way.roll_back(view.current, view.previous, lambda: None)
    assert shop.images() == ["shop/web:2"] * 3


def test_api_error_other_than_404_stays_what_it_is(shop, monkeypatch):
    """It is retried, and then unknown."""
    monkeypatch.setattr(engine, "_RETRIES_S", ())

    def _away():
        raise KubeError("not now", status=503)

    with responding(shop, rollback={"strategy": "none"}) as acting:
        monkeypatch.setattr(acting.responder._course.strategy, "look", _away)
        assert acting.handle(an_alert()) is False
        (decided,) = acting.of("decided")
    assert decided["refusal"] == "unknown"
