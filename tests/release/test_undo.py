"""The patch of an undo, and what is in its way."""

import pytest

from muster.release import RollbackRefused, current_of, obstacle, patch_for, previous_of
from muster.workload import epoch


def test_patch_is_the_previous_template_without_the_controllers_label(world):
    """What kubectl sends, after a test that nobody changed the spec since it was read."""
    world.release("good", 1, own={"kubernetes.io/change-cause": "first", "deployment.kubernetes.io/max-replicas": "4"})
    seen = world.release("bad", 2, "shop/web:2").see()
    test, template, annotations = patch_for(seen, previous_of(seen, "web"))
    assert test == {"op": "test", "path": "/metadata/generation", "value": 1}
    assert template["path"] == "/spec/template"
    assert template["value"]["metadata"]["labels"] == {"app": "web"}
    assert template["value"]["spec"]["containers"][0]["image"] == "shop/web:1"
    assert annotations["value"] == {"deployment.kubernetes.io/revision": "2", "kubernetes.io/change-cause": "first"}


def test_patch_leaves_what_was_read_untouched(world):
    """The look is judged again later."""
    seen = world.release("good", 1).release("bad", 2, "shop/web:2").see()
    patch_for(seen, previous_of(seen, "web"))
    assert seen.replicasets[0]["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == "good"


def test_another_image_is_no_obstacle(world):
    """The ordinary case: nothing is in the way."""
    seen = world.release("good", 1).release("bad", 2, "shop/web:2").see()
    assert obstacle(seen, previous_of(seen, "web")) == ""


def test_deployment_that_is_scaled_to_0_is_no_releases_fault(world):
    """Another release would not be served either; and in a lab of many drills the one before may be a bad one."""
    seen = world.release("good", 1).release("bad", 2, "shop/web:2").see()
    seen.deployment["spec"]["replicas"] = 0
    assert "scaled to 0" in obstacle(seen, previous_of(seen, "web"))


def test_first_release_has_no_way_back(world):
    """Said in a sentence, not tried."""
    assert "no previous revision" in obstacle(world.release("only", 1).see(), None)


def test_restart_of_the_first_release_has_no_way_back(world):
    """A rollout restart makes a revision; going back to the one before it would change nothing."""
    seen = world.release("a", 1).release("b", 2, annotations={"kubectl.kubernetes.io/restartedAt": "now"}).see()
    assert previous_of(seen, "web") is None
    assert "no previous revision" in obstacle(seen, None)


def test_previous_revision_with_the_same_pods_is_no_way_back(world):
    """It differs in an annotation alone: undoing it changes nothing."""
    seen = world.release("a", 1).release("b", 2, annotations={"released-by": "somebody"}).see()
    assert "would change nothing" in obstacle(seen, previous_of(seen, "web"))


def test_restart_of_a_bad_release_is_undone_past(world):
    """The runbook restarts first: that must not take the way back away, nor make the release look younger."""
    world.release("good", 1).release("bad", 2, "shop/web:2")
    for revision, moment in ((3, "now"), (4, "later")):
        notes = {"kubectl.kubernetes.io/restartedAt": moment}
        world.release(f"bad-{moment}", revision, "shop/web:2", annotations=notes)
    seen = world.see()
    assert previous_of(seen, "web").template_hash == "good"
    assert current_of(seen, "web").revision == 4
    assert current_of(seen, "web").created == epoch("2026-11-21T05:00:02Z")


def test_paused_deployment_cannot_be_undone(world):
    """Kubernetes refuses it too: nothing would roll out."""
    world.release("good", 1).release("bad", 2, "shop/web:2").paused = True
    seen = world.see()
    assert "paused" in obstacle(seen, previous_of(seen, "web"))


def test_target_that_left_the_history_is_refused(world):
    """The limit of the history may have taken it meanwhile."""
    seen = world.release("good", 1).release("bad", 2, "shop/web:2").see()
    target = previous_of(seen, "web")
    world.sets = [rs for rs in world.sets if rs["metadata"]["uid"] != "rs-good"]
    with pytest.raises(RollbackRefused, match="no longer in its history"):
        patch_for(world.see(), target)
    assert current_of(seen, "web").revision == 2


def _drilled(world, *, before=False):
    """A good release, a drill's bad one that was withdrawn, and the good one again."""
    if before:
        world.release("older", 1, "shop/web:0")
    world.release("bad", 3, env=[("FAULT", "1")], own={"muster.dev/withdrawn": "bad bad release of fault f"})
    return world.release("good", 4, history="2")


def test_drills_bad_release_is_passed_over(world, make_world):
    """A rollback goes to the release before it; with none left it is refused, and the reason names it."""
    seen = _drilled(world, before=True).see()
    assert previous_of(seen, "web").template_hash == "older"
    assert obstacle(seen, previous_of(seen, "web")) == ""
    alone = _drilled(make_world()).see()
    assert previous_of(alone, "web") is None
    assert "no previous revision to roll back to: revision 3 is a bad release of fault f" in obstacle(alone, None)


def test_drills_bad_release_is_no_target_of_anybody(world):
    """Nor of a rollback that was decided before it was withdrawn; and no mark comes along from elsewhere."""
    world.release("bad", 1, "shop/web:0")
    seen = world.release("good", 2).see()
    target = previous_of(seen, "web")
    world.sets[0]["metadata"]["annotations"]["muster.dev/withdrawn"] = "bad bad release of fault f"
    assert obstacle(world.see(), target) == "revision 1 of deployment web is a bad release of fault f"
    world.sets[0]["metadata"]["annotations"]["muster.dev/withdrawn"] = "another bad release of fault f"
    _, _, annotations = patch_for(world.see(), target)
    assert "muster.dev/withdrawn" not in annotations["value"]


def test_restart_over_a_drills_bad_release_is_still_a_restart(world):
    """What was restarted is as old as it is, whatever was withdrawn in between."""
    _drilled(world).release("again", 5, annotations={"kubectl.kubernetes.io/restartedAt": "now"})
    world.sets[-2]["metadata"]["annotations"].pop("deployment.kubernetes.io/revision-history")
    seen = world.see()
    assert previous_of(seen, "web") is None
    assert current_of(seen, "web").created == epoch("2026-11-21T05:00:04Z")
