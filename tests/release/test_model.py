"""Releases as they are read from a Deployment, its ReplicaSets and pods."""

import pytest

from muster.errors import Unknown
from muster.release import current_of, previous_of


def test_current_release_is_the_replicaset_of_the_deployments_template(world):
    """Revision, template hash, images and the digest of the environment's own container, not of its sidecar."""
    world.release("good", 1).release("bad", 2, "shop/web:2").run("bad", 3, "sha256:bb")
    release = current_of(world.see(), "web")
    assert (release.revision, release.template_hash, release.images) == (2, "bad", ("shop/web:2",))
    assert (release.digests, release.replicas, release.ready) == (frozenset({"sha256:bb"}), 3, 3)


def test_digests_of_pods_that_are_not_ready_count_only_when_none_is(world):
    """A release that never became ready still names its build, or the proof could not tell it from another."""
    world.release("bad", 1).run("bad", 1, "sha256:bb", ready=False)
    assert current_of(world.see(), "web").digests == {"sha256:bb"}
    world.run("bad", 1, "sha256:cc")
    assert current_of(world.see(), "web").digests == {"sha256:cc"}


def test_previous_is_the_next_lower_revision(world):
    """As kubectl rollout undo chooses it."""
    world.release("a", 1).release("b", 4).release("c", 5, "shop/web:3")
    assert previous_of(world.see(), "web").template_hash == "b"


def test_there_is_no_previous_release_before_the_first(world):
    """None, not an error: the caller decides what that means."""
    assert previous_of(world.release("a", 1).see(), "web") is None


def test_release_is_unknown_until_the_controller_has_seen_the_spec(world):
    """A template that was deployed before comes back under its old number first; that must not be believed."""
    world.release("good", 3).release("bad", 2, "shop/web:2")
    world.generation = 2
    with pytest.raises(Unknown, match="has not made yet"):
        previous_of(world.see(), "web")


def test_release_date_of_a_template_that_came_back_is_its_oldest_pods(world):
    """The ReplicaSet's own birth is that of its first release, long ago."""
    first = current_of(world.release("a", 2).run("a", second=30).see(), "web").created
    again = current_of(world.release("a", 2, history="1").see(), "web").created
    assert again - first == 28
    world.pods.clear()
    assert current_of(world.see(), "web").created == 0


def test_replicasets_of_other_owners_are_not_its_history(world):
    """A selector may match what somebody else made."""
    world.release("a", 1).release("b", 2, "shop/web:2")
    world.sets[0]["metadata"]["ownerReferences"][0]["uid"] = "somebody"
    assert previous_of(world.see(), "web") is None
