"""The judgement of a rollback is a pure function of what the cluster shows."""

import pytest

from muster.release import current_of, judge, previous_of
from muster.verdict import Verdict


@pytest.fixture
def rolled_back(world):
    """A story after its undo, with the releases as they were before: (world, bad, target)."""

    def _make(good_image="shop/web:1", bad_image="shop/web:2", bad_digest="sha256:bb"):
        world.release("good", 1, good_image, [("MODE", "good")]).release("bad", 2, bad_image, [("MODE", "bad")])
        before = world.run("bad", 3, bad_digest).see()
        bad, target = current_of(before, "web"), previous_of(before, "web")
        world.pods.clear()
        world.release("good", 3, good_image, [("MODE", "good")], history="1")
        return world, bad, target

    return _make


def _judge(seen, bad, target, *recorded):
    return judge(seen, bad=bad, target=target, container="web", recorded=frozenset(recorded))


def test_recorded_build_on_every_replica_is_proof(rolled_back):
    """Revision, replicas and the very digest that the target had before."""
    world, bad, target = rolled_back()
    stage = _judge(world.run("good", 3, "sha256:aa").see(), bad, target, "sha256:aa")
    assert (stage.verdict, stage.revision, stage.replicas) == (Verdict.PASS, 3, 3)
    assert stage.digests == {"sha256:aa"}
    assert "as recorded" in stage.message


def test_other_build_than_the_bad_one_is_proof_when_none_was_recorded(rolled_back):
    """Nobody saw the target before; that it is another build than the bad one can still be told."""
    world, bad, target = rolled_back()
    assert _judge(world.run("good", 3, "sha256:aa").see(), bad, target).verdict is Verdict.PASS


def test_same_build_under_another_tag_fails(rolled_back):
    """The undo ran, all is ready, and the bad build still serves: the failure this project is for."""
    world, bad, target = rolled_back()
    stage = _judge(world.run("good", 3, "sha256:bb").see(), bad, target)
    assert stage.verdict is Verdict.FAIL
    assert "changed nothing" in stage.message


def test_recorded_same_build_fails_too(rolled_back):
    """That the target always was the bad build does not make it better."""
    world, bad, target = rolled_back()
    assert _judge(world.run("good", 3, "sha256:bb").see(), bad, target, "sha256:bb").verdict is Verdict.FAIL


def test_moved_tag_fails(rolled_back):
    """The old tag was pushed again: what serves is neither the bad build nor the one that was proven good."""
    world, bad, target = rolled_back()
    stage = _judge(world.run("good", 3, "sha256:cc").see(), bad, target, "sha256:aa")
    assert stage.verdict is Verdict.FAIL
    assert "moved" in stage.message


def test_one_image_in_two_configurations_is_told_by_its_template(rolled_back):
    """Most clusters give one digest to one image, whatever its environment; the template makes the release."""
    world, bad, target = rolled_back(bad_image="shop/web:1", bad_digest="sha256:aa")
    stage = _judge(world.run("good", 3, "sha256:aa").see(), bad, target)
    assert stage.verdict is Verdict.PASS
    assert "configuration" in stage.message


def test_deployment_that_still_asks_for_the_bad_release_fails_at_once(rolled_back):
    """Whatever answered the undo with success."""
    world, bad, target = rolled_back()
    world.release("bad", 4, "shop/web:2", [("MODE", "bad")]).run("bad", 3, "sha256:bb")
    stage = _judge(world.see(), bad, target)
    assert stage.verdict is Verdict.FAIL
    assert "changed nothing" in stage.message
    assert not stage.traffic_off


def test_third_release_over_the_rollback_fails(rolled_back):
    """A pipeline was faster; it is not the target that serves."""
    world, bad, target = rolled_back()
    stage = _judge(world.release("third", 4, "shop/web:9").see(), bad, target)
    assert stage.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"observedGeneration": 0}, "has not seen"),
        ({"updatedReplicas": 2}, "2 updated"),
        ({"availableReplicas": 1}, "1 available"),
        ({"replicas": 4}, "4 replicas"),
    ],
)
def test_unfinished_rollout_is_not_yet_proven(rolled_back, status, words):
    """Each count must be met, and the controller must have seen the spec."""
    world, bad, target = rolled_back()
    stage = _judge(world.run("good", 3).see(**status), bad, target)
    assert stage.verdict is None
    assert words in stage.message


def test_serving_pod_of_the_bad_release_keeps_traffic_on(rolled_back):
    """Even when the counts of the Deployment are met already."""
    world, bad, target = rolled_back()
    stage = _judge(world.run("good", 3).run("bad", 1, "sha256:bb").see(replicas=3), bad, target)
    assert (stage.verdict, stage.traffic_off) == (None, False)
    assert "1 pods of another release" in stage.message


def test_terminating_pod_of_the_bad_release_is_allowed_and_counted(rolled_back):
    """Endpoints drop it at once; its end may take the whole grace period."""
    world, bad, target = rolled_back()
    stage = _judge(world.run("good", 3).run("bad", 1, "sha256:bb", terminating=True).see(), bad, target)
    assert (stage.verdict, stage.traffic_off, stage.terminating) == (Verdict.PASS, True, 1)


def test_missing_image_id_never_passes(rolled_back):
    """No data: when it stays away, the verdict is UNKNOWN."""
    world, bad, target = rolled_back()
    stage = _judge(world.run("good", 2).run("good", 1, "").see(), bad, target)
    assert (stage.verdict, stage.if_never) == (None, Verdict.UNKNOWN)


def test_nothing_is_proven_at_zero_replicas(rolled_back):
    """All of none are ready: that is no evidence."""
    world, bad, target = rolled_back()
    world.replicas = 0
    assert _judge(world.see(), bad, target).verdict is Verdict.UNKNOWN
