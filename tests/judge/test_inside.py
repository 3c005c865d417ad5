"""Logs, modules, certificates, resources, and the way back: each judge fails, warns, passes and does not know."""

import warnings

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared, inside, logs, pods, resources, rollout
from muster.judge.quantity import amount, show
from muster.judge.replicas import Replicas
from muster.system.expectations import Certificates, Logs, Pods, Pqc
from muster.verdict import SLOWarning

DAY = 86400.0
PODS = Pods(most_restarts=3, restart_window="15m", least_replicas=3, source="tests")
PQC = Pqc(
    allowed_groups=["X25519MLKEM768"], allowed_algorithms=["ML-KEM-768"], modules=["oqs"], documented_module="liboqs",
    fallback_forbidden=True, source="tests",
)  # fmt: skip
CERTIFICATES = Certificates(folder="/c", warn_before="14d", fail_before="3d", source="tests")
LOGS = Logs(
    window="5m", bursts=[{"name": "errors", "pattern": "ERROR", "most": 10, "runbook": "r#e", "source": "tests"}]
)
FAILED = {"failure": {"kind": "forbidden", "message": "may not"}}


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", SLOWarning)
        yield


# ---- logs


def said(running=None, window_s=300.0, **counts):
    replicas = {
        name: count
        if isinstance(count, dict)
        else {
            "lines": 99,
            "bytes": 1,
            "cut": False,
            "bursts": {"errors": {"count": count, "samples": [f"ERROR of {name}"]}},
        }
        for name, count in counts.items()
    }
    return logs.logs({"window_s": window_s, "running": running or len(counts), "replicas": replicas})


def cut(count):
    return {"lines": 9, "bytes": 9, "cut": True, "bursts": {"errors": {"count": count, "samples": []}}}


def test_a_burst_over_all_replicas_fails_with_its_worst_and_its_last_line():
    """No replica alone is over the limit; all together are."""
    logs.assert_no_burst(said(a=5, b=5), LOGS, "errors")
    with pytest.raises(AssertionError, match=r"11 log lines match ERROR in 5m, at most 10 .* \(6 of b\): ERROR of b"):
        logs.assert_no_burst(said(a=5, b=6), LOGS, "errors")


def test_a_log_that_could_not_be_read_or_was_cut_is_unknown_unless_the_rest_is_enough_to_fail():
    """What was not read may hold anything; what was read may already be too much."""
    with pytest.raises(Unknown, match="logs of b: may not"):
        logs.assert_no_burst(said(a=5, b=FAILED), LOGS, "errors")
    with pytest.raises(AssertionError, match="11 log lines"):
        logs.assert_no_burst(said(a=11, b=FAILED), LOGS, "errors")
    with pytest.raises(Unknown, match="the log of b is longer than what is read"):
        logs.assert_no_burst(said(a=1, b=cut(1)), LOGS, "errors")
    with pytest.raises(AssertionError, match="12 log lines"):
        logs.assert_no_burst(said(a=1, b=cut(11)), LOGS, "errors")
    with pytest.raises(Unknown, match="was not read for 'errors'"):
        logs.assert_no_burst(said(a={"lines": 1, "bytes": 1, "cut": False, "bursts": {}}), LOGS, "errors")


def test_a_sample_of_the_replicas_is_scaled_up():
    """Two of forty say one each: forty in all."""
    with pytest.raises(AssertionError, match="40 log lines"):
        logs.assert_no_burst(said(running=40, a=1, b=1), LOGS, "errors")
    logs.assert_no_burst(said(running=40, a=0, b=0), LOGS, "errors")


def test_a_burst_that_the_facts_do_not_name_is_not_judged():
    """Undeclared, which pytest shows as a skip."""
    for facts in (None, LOGS):
        with pytest.raises(Undeclared, match="'other'"):
            logs.assert_no_burst(said(a=1), facts, "other")


# ---- modules


def imports(**entries):
    raw = {
        name: entry if "failure" in entry else {"modules": entry, "algorithms": {"ML-KEM-768": entry.get("kem", "")}}
        for name, entry in entries.items()
    }
    return Replicas("modules", raw, lambda _, entry: inside.modules(entry))


def test_the_real_module_counts_and_the_documented_one_is_told_for_what_it_is():
    """With both names working nothing is said; with the real one only, the runbook is wrong."""
    inside.assert_modules_import(imports(a={"oqs": "", "liboqs": ""}), PQC)
    with pytest.warns(SLOWarning, match=r'own "import liboqs" cannot work \(No module\), and oqs is there'):
        inside.assert_modules_import(imports(a={"oqs": "", "liboqs": "No module"}), PQC)
    with pytest.raises(AssertionError, match="a cannot import oqs: No module"):
        inside.assert_modules_import(imports(a={"oqs": "No module", "liboqs": ""}), PQC)
    with pytest.raises(Unknown, match="modules of a: may not"):
        inside.assert_modules_import(imports(a=FAILED), PQC)
    with pytest.raises(Unknown, match="was not asked for the module oqs"):
        inside.assert_modules_import(imports(a={}), PQC)
    for facts in (None, PQC.model_copy(update={"modules": []})):
        with pytest.raises(Undeclared, match="which modules"):
            inside.assert_modules_import(imports(a={"oqs": ""}), facts)


def test_an_algorithm_that_does_not_work_fails():
    """A module that can be imported proves little."""
    inside.assert_algorithms_work(imports(a={"oqs": ""}), PQC)
    with pytest.raises(AssertionError, match="ML-KEM-768 does not work in a: two secrets"):
        inside.assert_algorithms_work(imports(a={"kem": "two secrets"}), PQC)
    untried = Replicas("modules", {"a": {"modules": {}, "algorithms": {}}}, lambda _, entry: inside.modules(entry))
    with pytest.raises(Unknown, match="a could not try ML-KEM-768"):
        inside.assert_algorithms_work(untried, PQC)
    with pytest.raises(Undeclared, match="which post-quantum algorithms"):
        inside.assert_algorithms_work(untried, PQC.model_copy(update={"allowed_algorithms": []}))


# ---- certificates


def folders(**changes):
    one = {"file": "tls.crt", "subject": "CN=a", "from": 0.0, "until": 100 * DAY}
    entry = {"folder": "/c", "missing": "", "files": ["tls.crt", "tls.key"], "certificates": [one], "broken": []}
    one.update({key: changes.pop(key) for key in ("from", "until") if key in changes})
    return Replicas("certificates", {"a": {**entry, **changes}}, lambda _, raw: inside.folder(raw))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"missing": "No such file or directory"}, "a has no folder /c: No such file"),
        ({"broken": ["ca.crt"]}, "a: ca.crt in /c holds no certificate"),
        ({"certificates": []}, r"there is no certificate in /c \(tls.crt, tls.key is there\)"),
        ({"certificates": [], "files": []}, r"there is no certificate in /c \(nothing is there\)"),
    ],
)
def test_a_folder_without_certificates_fails_with_what_is_there(changes, word):
    """No folder, an empty one, and a file that is none."""
    inside.assert_certificates_are_there(folders(), CERTIFICATES)
    with pytest.raises(AssertionError, match=word):
        inside.assert_certificates_are_there(folders(**changes), CERTIFICATES)


def test_a_certificate_near_its_end_warns_then_fails():
    """Fourteen days before, three days before, afterwards, and too early."""

    def judge(now, **changes):
        inside.assert_certificates_are_in_date(folders(**changes), CERTIFICATES, now=now)

    judge(85 * DAY)
    with pytest.warns(SLOWarning, match=r"tls.crt of a \(CN=a\) runs out in 14\.0 days; it is replaced 14d before"):
        judge(86 * DAY)
    with pytest.raises(AssertionError, match=r"runs out in 3\.0 days"):
        judge(97 * DAY)
    with pytest.raises(AssertionError, match=r"runs out in 1h"):
        judge(100 * DAY - 3600)
    with pytest.raises(AssertionError, match=r"ran out 5\.0 days ago"):
        judge(105 * DAY)
    with pytest.raises(AssertionError, match=r"is not valid before 10\.0 days from now"):
        judge(10 * DAY, **{"from": 20 * DAY})
    with pytest.raises(Unknown, match="no certificate that could be in date"):
        judge(10 * DAY, certificates=[])
    with pytest.raises(Undeclared, match="how long before its end"):
        inside.assert_certificates_are_in_date(folders(), None, now=0.0)


# ---- resources


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


def test_a_pod_of_another_image_than_is_asked_for_fails():
    """By the name of the container; pods that leave do not count."""
    judge = rollout.assert_pods_run_what_is_asked_for
    judge(deployment(), (pod(),))
    judge(deployment(), (pod(), pod(ask("old"), terminating=True)))
    with pytest.raises(AssertionError, match="a: container app is of app:1; app asks for app:2"):
        judge(deployment(containers={"app": "app:2"}), (pod(),))
    with pytest.raises(Unknown, match="a has no container other"):
        judge(deployment(containers={"other": "app:2"}), (pod(),))
