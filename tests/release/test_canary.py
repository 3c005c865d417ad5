"""What a canary gets, what is in the way of aborting it, and when an abort is proven. Pure."""

from dataclasses import replace

import pytest

from muster.errors import Unknown
from muster.release.canary import CanarySight, canary_obstacle, canary_since, judge_canary
from muster.release.model import current_of
from muster.responder import strategy
from muster.system import Environment
from muster.verdict import Verdict
from muster.workload import weight_of

NGINX = "nginx.ingress.kubernetes.io/canary"


def ingress(**notes):
    named = {NGINX: "true"} | {f"{NGINX}-{key.replace('_', '-')}": value for key, value in notes.items()}
    return {"metadata": {"name": "web-canary", "annotations": named}}


@pytest.fixture
def sight(make_world):
    """A canary of build bb beside three stable pods of build aa; keywords change what is seen after the abort."""

    def _make(*, weight="0", replicas=0, canary_pods=0, terminating=0, ready=3, digest="sha256:aa", other=False):
        stable = make_world().release("good", 1).run("good", ready, digest)
        if other:
            stable.release("other", 2, "shop/web:9")
        canary = make_world().release("bad", 1, "shop/web:2").run("bad", canary_pods, "sha256:bb")
        canary.run("bad", terminating, "sha256:bb", terminating=True)
        canary.replicas = replicas
        return CanarySight(canary=canary.see(), stable=stable.see(), ingress=ingress(weight=weight))

    return _make


@pytest.fixture
def verdict(sight, make_world):
    """The judgement of such a sight, with what the releases were before."""
    bad = current_of(make_world().release("bad", 1, "shop/web:2").run("bad", 1, "sha256:bb").see(), "web")
    stable = current_of(make_world().release("good", 1).run("good", 3).see(), "web")

    def _judge(*, recorded=frozenset({"sha256:aa"}), **changes):
        return judge_canary(sight(**changes), bad=bad, stable=stable, container="web", recorded=recorded)

    return _judge


def test_weight_is_a_share_of_its_total():
    """10 of 100, or of what the ingress says; an ingress that is no canary gives it nothing."""
    assert weight_of(ingress(weight="10")) == 0.1
    assert weight_of(ingress(weight="10", weight_total="1000")) == 0.01
    assert weight_of({"metadata": {"annotations": {f"{NGINX}-weight": "10"}}}) == 0


def test_weight_that_is_no_number_is_unknown():
    """Not 0: that would be a proof."""
    with pytest.raises(Unknown, match="no number"):
        weight_of(ingress(weight="some"))


def test_canary_by_header_gets_traffic_at_weight_0(sight):
    """It goes past the weight, so aborting it helps; without it there is nothing to abort."""
    seen = sight(weight="0", replicas=1, canary_pods=1)
    assert "gets no traffic" in canary_obstacle(seen)
    seen = CanarySight(seen.canary, seen.stable, ingress(weight="0", by_header="X-Canary"))
    assert canary_obstacle(seen) == ""


def test_no_share_no_pods_and_the_stable_build_on_every_replica_is_proven(verdict):
    """Pods on their way out get no traffic any more."""
    stage = verdict(terminating=1)
    assert stage.verdict is Verdict.PASS, stage.message
    assert stage.traffic_off
    assert (stage.replicas, stage.terminating) == (3, 1)


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"weight": "5"}, Verdict.FAIL, "still gets 5% of the users"),
        ({"replicas": 1, "canary_pods": 1}, Verdict.FAIL, "still asks for 1 pods"),
        ({"canary_pods": 1}, None, "1 pods of the canary are left"),
        ({"ready": 2}, None, "2 of 3 stable pods ready"),
        ({"other": True}, Verdict.FAIL, "no longer asks for revision 1"),
        ({"digest": "sha256:cc"}, Verdict.FAIL, "its image has moved"),
        ({"digest": "sha256:bb", "recorded": frozenset({"sha256:bb"})}, Verdict.FAIL, "changed nothing"),
        ({"digest": ""}, None, "reports no image id"),
    ],
)
def test_anything_else_is_not(verdict, changes, expected, words):
    """Each alone is enough, and says so."""
    stage = verdict(**changes)
    assert stage.verdict is expected
    assert words in stage.message


def test_canary_serves_since_its_oldest_pod(sight):
    """Its ReplicaSet may be older: one that was scaled up again is tried anew. Without a pod that cannot be told."""
    seen = sight(canary_pods=2)
    canary = current_of(seen.canary, "web")
    assert canary.created < canary_since(seen, canary) == canary.created + 29
    assert canary_since(sight(), canary) == 0.0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"weight": "10", "replicas": 1, "canary_pods": 1}, ""),
        ({"weight": "0", "replicas": 1, "canary_pods": 1}, "no traffic any more"),
    ],
)
def test_canary_without_users_is_no_longer_one_to_abort(sight, make_world, monkeypatch, changes, why):
    """It was aborted before the crash, at least for its users: what is left is to be judged."""
    bad = current_of(make_world().release("bad", 1, "shop/web:2").run("bad", 1, "sha256:bb").see(), "web")
    kubernetes = {"kubeconfig": "unused", "namespace": "shop", "deployment": "web", "container": "web"}
    kubernetes |= {"selector": "app=web", "port": 8080}
    env = Environment.model_validate({"name": "here", "description": "test", "kubernetes": kubernetes})
    monkeypatch.setattr(strategy.release, "look_canary", lambda *_: sight(**changes))
    way = strategy.CanaryAbort(strategy.World(kube=None, monitor=None, system=None, env=env))
    assert why in way.overtaken(bad)
    assert bool(way.overtaken(bad)) is bool(why)
    assert "another canary was released" in way.overtaken(replace(bad, template_hash="older")) or why
