"""Limits, requests, kills for memory, and the way back: each judge's FAIL, WARN, PASS and UNKNOWN."""

import warnings
from dataclasses import replace

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared, pods, resources, rollout
from muster.judge.quantity import amount, show
from muster.system.expectations import Pods
from muster.verdict import SLOWarning

PODS = Pods(most_restarts=3, restart_window="15m", least_replicas=3, source="tests")


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", SLOWarning)
        yield


def ask(name="app", main=True, requests=None, limits=None):
    requests = {"cpu": "100m", "memory": "64Mi"} if requests is None else requests
    return pods.Ask(name=name, image="app:1", main=main, init=False, requests=requests, limits=limits or {})


def pod(*asks, name="a", image="app:1", last_exit=None, terminating=False):
    container = pods.Container(
        name="app",
        image=image,
        image_id="i",
        ready=True,
        restarts=1,
        waiting="",
        waiting_message="",
        last_exit=last_exit,
    )
    return pods.Pod(
        name=name, created=0.0, terminating=terminating, template_hash="h", phase="Running", reason="", ip="1",
        node="n", conditions={"Ready": "True"}, containers=(container,), asks=asks or (ask(),),
    )  # fmt: skip


def test_a_memory_limit_below_the_alert_would_kill_in_silence():
    """Kubernetes' units and ours are compared in bytes; a sidecar's limit is not what the alert is about."""
    judge = resources.assert_memory_limit_above
    judge((pod(ask(limits={"memory": "3Gi"}), ask("sidecar", main=False, limits={"memory": "64Mi"})),), 2.4e9)
    with pytest.raises(AssertionError, match=r"memory limit 2Gi of a/app kills it before the alert at 2\.4 GB fires"):
        judge((pod(ask(limits={"memory": "2Gi"})),), 2.4e9)
    with pytest.warns(SLOWarning, match="a/app has no memory limit"):
        judge((pod(ask()),), 2.4e9)
    with pytest.raises(Unknown, match=r"a has not the container that the environment names \(it has sidecar\)"):
        judge((pod(ask("sidecar", main=False)),), 2.4e9)
    with pytest.raises(Unknown, match="'lots' is not a Kubernetes quantity"):
        judge((pod(ask(limits={"memory": "lots"})),), 2.4e9)


def test_a_cpu_limit_below_the_alert_throttles_in_silence():
    """At the threshold it never gets over it; without a limit nothing throttles."""
    judge = resources.assert_cpu_limit_above
    judge((pod(ask()), pod(ask(limits={"cpu": "2"}))), 0.95)
    for text in ("500m", "950m"):
        with pytest.raises(AssertionError, match=rf"CPU limit {text} of a/app .* 0\.95 cores can never fire"):
            judge((pod(ask(limits={"cpu": text})),), 0.95)
    with pytest.raises(Unknown, match="every pod is being deleted"):
        judge((pod(terminating=True),), 0.95)


def test_a_container_without_requests_fails():
    """Either missing is named; zero is missing."""
    resources.assert_requests_are_set((pod(),))
    with pytest.raises(AssertionError, match="a/app requests no cpu and no memory"):
        resources.assert_requests_are_set((pod(ask(requests={})),))
    with pytest.raises(AssertionError, match="a/app requests no memory"):
        resources.assert_requests_are_set((pod(ask(requests={"cpu": "1", "memory": "0"})),))


@pytest.mark.parametrize(
    ("text", "number", "shown"),
    [("100m", 0.1, "100m"), ("2", 2.0, "2"), ("1500m", 1.5, "1500m")],
)
def test_quantities_of_cpu(text, number, shown):
    """To cores and back as people write them."""
    assert amount(text) == pytest.approx(number)
    assert show(number, "requests.cpu") == shown


def test_quantities_of_memory():
    """Powers of two and of ten are told apart."""
    assert (amount("1Ki"), amount("1k"), amount("1Gi"), amount("1G"), amount(3)) == (1024, 1000, 2**30, 1e9, 3)
    assert (show(2.0**30, "limits.memory"), show(2.0**27, "memory"), show(4.0, "pods")) == ("1Gi", "128Mi", "4")


# ---- killed for its memory


def test_a_kill_for_memory_fails_in_the_window_and_warns_for_a_while():
    """Fifteen minutes at a scale of 60 are 15 s, and it is remembered for a minute; another end is another check's."""

    def judge(now, reason="OOMKilled"):
        last = pods.Exit(code=137, reason=reason, at=100.0)
        pods.assert_nothing_was_killed_for_memory((pod(last_exit=last),), PODS, now=now, time_scale=60)

    with pytest.raises(AssertionError, match="a: container app was killed for its memory within 15s"):
        judge(115.0)
    with pytest.warns(SLOWarning, match="was killed for its memory within 1m"):
        judge(116.0)
    judge(161.0)
    judge(101.0, reason="Error")
    with pytest.raises(Undeclared, match="how far back"):
        pods.assert_nothing_was_killed_for_memory((pod(),), None, now=0.0, time_scale=1)


# ---- the way back


def deployment(**changes):
    return rollout.Deployment(
        **{
            "name": "app", "namespace": "ns", "generation": 2, "observed_generation": 2, "revision": 3,
            "paused": False, "images": ("app:1",), "wanted": 3, "replicas": 3, "updated": 3, "ready": 3,
            "available": 3, "conditions": {}, "labels": {}, "containers": {"app": "app:1"}, "strategy": {}, **changes,
        }
    )  # fmt: skip


def revisions(**builds):
    return tuple(
        rollout.ReplicaSet(
            name=f"r{number}", revision=number, template_hash=str(number), images=("app:1",), build=build, wanted=0,
            ready=0, created=0.0,
        )
        for number, build in ((int(key[1:]), build) for key, build in builds.items())
    )  # fmt: skip


def test_an_undo_that_changes_nothing_warns_and_names_the_revision_that_would():
    """A restart is a revision of its own, and undoing it leaves the bad build where it is."""
    judge = rollout.assert_going_back_changes_something
    judge(deployment(), revisions(r2="old", r3="new"))
    with pytest.warns(
        SLOWarning, match=r"goes to revision 2, .* the same build.*; revision 1 differs \(--to-revision=1\)"
    ):
        judge(deployment(), revisions(r1="old", r2="new", r3="new"))
    with pytest.warns(SLOWarning, match=r"it would roll back nothing$"):
        judge(deployment(), revisions(r2="new", r3="new"))
    with pytest.raises(Undeclared, match="first revision"):
        judge(deployment(revision=1), revisions(r1="new"))
    with pytest.raises(Unknown, match="keeps no earlier revision"):
        judge(deployment(), revisions(r3="new"))
    with pytest.raises(Unknown, match="of revision 3 of app is not there yet"):
        judge(deployment(), revisions(r1="old", r2="new"))


def test_an_undo_that_leads_to_a_drills_bad_release_warns_and_says_what_to_delete():
    """Where its account may not delete it, kubectl still goes there; the responder passes it over."""
    judge = rollout.assert_going_back_changes_something
    older, bad, now = revisions(r1="old", r2="bad", r3="new")
    bad = replace(bad, withdrawn="bad release of fault f")
    with pytest.warns(
        SLOWarning, match=r"revision 2, a bad release of fault f: delete ReplicaSet r2; revision 1 differs"
    ):
        judge(deployment(), (older, bad, now))
    with pytest.warns(SLOWarning, match=r"delete ReplicaSet r2$"):
        judge(deployment(), (bad, now))
    judge(deployment(), (replace(older, withdrawn="bad release of fault e"), replace(bad, withdrawn=""), now))
    with pytest.raises(Undeclared, match="first revision"):
        judge(deployment(), (replace(now, first_revision=1),))


def test_a_pod_of_another_image_than_is_asked_for_fails():
    """By the name of the container; pods that leave do not count."""
    judge = rollout.assert_pods_run_what_is_asked_for
    judge(deployment(), (pod(),))
    judge(deployment(), (pod(), pod(ask("old"), terminating=True)))
    with pytest.raises(AssertionError, match="a: container app is of app:1; app asks for app:2"):
        judge(deployment(containers={"app": "app:2"}), (pod(),))
    with pytest.raises(Unknown, match="a has no container other"):
        judge(deployment(containers={"other": "app:2"}), (pod(),))
