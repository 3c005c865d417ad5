"""Undo and proof against the API stand-in and its controllers."""

import pytest

from muster.kube import KubeError
from muster.release import (
    RollbackRefused,
    current,
    look,
    observe,
    previous,
    prove,
    read_known,
    remember_rollback,
    roll_back,
)
from muster.verdict import Verdict


def test_rollback_is_proven_by_the_recorded_build(shop):
    """Release, observe, release, undo: the first build serves again on every replica."""
    observe(shop.kube, shop.look(), "web")
    good = current(shop.kube, shop.env)
    shop.release("shop/web:2")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    assert (target.template_hash, bad.revision) == (good.template_hash, 2)
    stages = []
    roll_back(shop.kube, shop.env, target, bad=bad)
    proof = prove(shop.kube, shop.env, bad=bad, target=target, timeout_s=60, tick=stages.append)
    assert proof.verdict is Verdict.PASS, proof.message
    assert (proof.revision, proof.digests) == (3, tuple(good.digests))
    assert "as recorded" in proof.message
    assert not stages[0].traffic_off
    assert shop.images() == ["shop/web:1"] * 3


def test_same_build_under_another_tag_is_refuted(shop):
    """Every request succeeds and the same bytes serve: FAIL."""
    shop.kubelet.digest = "sha256:" + "5" * 64
    shop.release("shop/web:2")
    shop.release("shop/web:3")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    roll_back(shop.kube, shop.env, target)
    proof = prove(shop.kube, shop.env, bad=bad, target=target, timeout_s=60)
    assert proof.verdict is Verdict.FAIL
    assert "changed nothing" in proof.message


def test_rollback_that_does_not_finish_fails_with_the_last_state(shop):
    """Nobody makes the old release's pods ready any more."""
    shop.release("shop/web:2")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    shop.kubelet.ended.set()
    shop.kubelet.join(10)
    roll_back(shop.kube, shop.env, target)
    proof = prove(shop.kube, shop.env, bad=bad, target=target, timeout_s=0.5)
    assert proof.verdict is Verdict.FAIL
    assert "within 0.5s" in proof.message


def test_api_that_cannot_be_read_leaves_the_proof_unknown(shop):
    """No data is never a pass, and no failure either."""
    shop.release("shop/web:2")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    roll_back(shop.kube, shop.env, target)
    env = shop.env.model_copy(update={"kubernetes": shop.env.kubernetes.model_copy(update={"deployment": "gone"})})
    proof = prove(shop.kube, env, bad=bad, target=target, timeout_s=0.3)
    assert proof.verdict is Verdict.UNKNOWN
    assert "could not be judged" in proof.message


def test_first_release_cannot_be_rolled_back(shop):
    """There is none before it."""
    assert previous(shop.kube, shop.env) is None


def test_rollback_is_refused_when_somebody_was_faster(shop):
    """The release that was judged bad is not the current one any more."""
    shop.release("shop/web:2")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    shop.release("shop/web:3")
    with pytest.raises(RollbackRefused, match="somebody was faster"):
        roll_back(shop.kube, shop.env, target, bad=bad)
    assert shop.images() == ["shop/web:3"] * 3


def test_rollback_looks_again_when_the_spec_was_scaled_meanwhile(shop):
    """A stale look is noticed by the API server, and a new one does it."""
    shop.release("shop/web:2")
    stale = look(shop.kube, shop.env)
    shop.kube.patch(shop.path, {"spec": {"replicas": 2}})
    shop.settle()
    roll_back(shop.kube, shop.env, previous(shop.kube, shop.env), seen=stale)
    shop.settle()
    assert shop.images() == ["shop/web:1"] * 2


def test_known_builds_follow_the_history(shop):
    """Observed once, marked when rolled back from, unmarked when released again, forgotten when out of the history."""
    observe(shop.kube, shop.look(), "web")
    first = current(shop.kube, shop.env)
    assert read_known(shop.kube, shop.namespace, "web")[first.template_hash].digests == first.digests
    remember_rollback(shop.kube, first, 17.0)
    known = read_known(shop.kube, shop.namespace, "web")[first.template_hash]
    assert (known.rolled_back_at, known.digests) == (17.0, first.digests)
    assert observe(shop.kube, shop.look(), "web")[first.template_hash].rolled_back_at == 0
    shop.kube.patch(shop.path, {"spec": {"revisionHistoryLimit": 0}})
    shop.release("shop/web:2")
    seen = shop.look()
    assert set(observe(shop.kube, seen, "web")) == {
        rs["metadata"]["labels"]["pod-template-hash"] for rs in seen.replicasets
    }


def test_undo_of_a_missing_deployment_is_a_404_in_words(shop):
    """Which Deployment, and where."""
    env = shop.env.model_copy(update={"kubernetes": shop.env.kubernetes.model_copy(update={"deployment": "gone"})})
    with pytest.raises(KubeError, match="no deployment gone in namespace"):
        current(shop.kube, env)


def test_two_who_observe_at_once_both_remember(shop, monkeypatch):
    """Whoever finds the record made in between adds to it, and neither fails nor writes over the other."""
    post = shop.kube.post

    def second(path, body, **params):
        if path.endswith("/configmaps"):
            post(
                path, {**body, "data": {"other.hash": '{"revision": 7, "digests": ["sha256:7"], "rolled_back_at": 0}'}}
            )
        return post(path, body, **params)

    monkeypatch.setattr(shop.kube, "post", second)
    observe(shop.kube, shop.look(), "web")
    assert current(shop.kube, shop.env).template_hash in read_known(shop.kube, shop.namespace, "web")
    assert read_known(shop.kube, shop.namespace, "other")["hash"].revision == 7
