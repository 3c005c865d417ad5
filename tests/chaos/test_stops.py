"""What ends an experiment while it runs: each condition by itself, and that one that cannot be read hides no other."""

import socket
import time
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from muster.chaos import own, shared, stops
from muster.chaos.actions import common
from muster.chaos.incidents import Noise
from muster.chaos.stops import Stops, kill_file, switched_off
from muster.chaos.story import Story
from muster.faults import Ledger
from muster.judge.objectives import Objectives
from muster.judge.undone import undone
from muster.kube import Access, Kube, KubeError, load_access
from muster.system import Environment, load_system
from muster.timeline import Kind
from muster.verdict import Verdict
from muster.wait import TimedOut, wait_until

WHERE = {"namespace": "shop", "deployment": "web", "container": "web", "selector": "app=web", "port": 80}
CONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: u, user: {token: t}}]
"""


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()


@pytest.fixture
def nobody(tmp_path):
    """A session with an API server that is not there."""
    with socket.socket() as probe:  # bound and not listening: connections are refused as long as it is held
        probe.bind(("127.0.0.1", 0))
        (tmp_path / "kubeconfig").write_text(CONFIG.replace("PORT", str(probe.getsockname()[1])))
        with Kube(load_access(tmp_path / "kubeconfig")) as kube:
            yield kube


@pytest.fixture
def watch(story):
    """``watch(kube=..., load=..., alone=..., prometheus=..., alertmanager=...)`` -> the stops that it called for."""
    started = []
    system = load_system("x0tta6bl4")

    def begin(*, kube=None, load=None, lost="", prometheus="", alertmanager="", guard=None, **objectives):
        where = {"kubernetes": {"kubeconfig": "unused", **WHERE}} if kube else {}
        sources = {"prometheus": prometheus, "alertmanager": alertmanager, "guard": guard or {}}
        env = Environment.model_validate({"name": "lab", "description": "", "time_scale": 60, **sources, **where})
        called = []
        promised = Objectives.model_validate({"must_not": ["rollback"], **objectives})
        watcher = Stops(
            story,
            system,
            env,
            promised,
            load=load,
            kube=kube,
            alone=SimpleNamespace(lost=lost),
            end=called.append,
        )
        watcher.start()
        started.append(watcher)
        return called

    yield begin
    for watcher in started:
        watcher.finish()


def only(called):
    wait_until(lambda: called, bool, what="a stop", timeout_s=20)
    (stop,) = called
    return stop


def test_a_file_beside_the_ledger_stops_it(watch, story):
    """UNKNOWN, with where the switch is; told once, in the timeline."""
    called = watch()
    kill_file().touch()
    assert (only(called).verdict, only(called).reason) == (
        Verdict.UNKNOWN,
        f"the kill switch is on (file {kill_file()})",
    )
    (note,) = story.timeline().of(Kind.NOTE)
    assert note.data["stopped"] == "UNKNOWN"


def test_a_config_map_stops_it(watch, api):
    """In the workload's namespace, by whoever may create one there."""
    called = watch(kube=Kube(load_access(api.kubeconfig)))
    api.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "muster-stop"}})
    try:
        assert only(called).reason == "the kill switch is on (ConfigMap muster-stop in shop)"
    finally:
        api.delete("/api/v1/namespaces/shop/configmaps/muster-stop")


def test_a_dead_load_generator_stops_it(watch):
    """Without users nothing is known of what they see."""
    stop = only(watch(load=SimpleNamespace(failure=lambda: "Locust ended by itself")))
    assert (stop.verdict, stop.reason) == (Verdict.UNKNOWN, "the load generator died: Locust ended by itself")


def test_an_api_server_that_is_gone_for_long_stops_it(watch, nobody, monkeypatch):
    """Nobody knows any more what is broken; a moment is none."""
    monkeypatch.setattr(stops, "LOST_S", 600.0)
    monkeypatch.setattr(stops, "SWITCH_EVERY_S", 0.1)
    called = watch(kube=nobody)
    with pytest.raises(TimedOut):
        wait_until(lambda: called, bool, what="a stop", timeout_s=0.5)
    monkeypatch.setattr(stops, "LOST_S", 1.5)
    assert "the API server was out of reach for 1.5 s" in only(called).reason


def test_an_api_server_that_hangs_delays_no_other_condition(watch, story, monkeypatch):
    """It takes the connection and says nothing; the users' budget is judged all the same, and it counts as lost."""
    story.tell(Kind.FAULT_INJECTED, source="test")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        access = Access(f"http://127.0.0.1:{silent.getsockname()[1]}", {}, verify=True)
        kube = Kube(access, timeout_s=60.0)  # longer than anybody here waits
        well = SimpleNamespace(failure=lambda: "")
        monkeypatch.setattr(stops, "LOST_S", 600.0)
        stop = only(watch(kube=kube, load=well, stop={"no_answers": "1s"}))
        assert "no request of users was answered" in stop.reason
        monkeypatch.setattr(stops, "LOST_S", 1.0)
        assert "out of reach for 1 s: it does not answer" in only(watch(kube=kube)).reason


def test_a_drill_that_is_not_alone_any_more_stops(watch):
    """Whose Lease it is now breaks things, too."""
    assert only(watch(lost="another has taken the Lease")).reason == "another has taken the Lease"


def test_prometheus_out_of_reach_hides_no_other_condition(watch, nobody):
    """Its own watcher tells that it is; the switch still works."""
    called = watch(prometheus=nobody.server)
    kill_file().touch()
    assert "kill switch" in only(called).reason


def vector(value):
    """Prometheus' answer to an instant query; ``None``: it has no samples."""
    result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


QUIET = {"status": "success", "data": {"alerts": []}}


def test_real_users_whom_only_prometheus_knows_stop_it(watch, serve, story):
    """No load of ours: the service's own count of the last seconds is the budget's measure, and FAIL above it."""
    answers, asked = [0.5, 0.51], []

    def query(parameters):
        asked.append((time.time(), parameters["query"]))
        return vector(answers[min(len(asked), len(answers)) - 1])

    prometheus = serve({"/api/v1/query": query, "/api/v1/alerts": QUIET}).url
    injected = time.time()
    story.tell(Kind.FAULT_INJECTED, source="test", at=injected)
    called = watch(prometheus=prometheus, stop={"over": "1500ms"})
    stop = only(called)
    assert stop.verdict is Verdict.FAIL
    assert stop.reason == "by Prometheus, 51% of all requests failed over the last 1.5 s, and the drill's budget is 50%"
    first_at, promql = asked[0]
    assert first_at - injected >= 1.5  # what was before the fault is none of its doing
    assert "x0tta6bl4_requests_total" in promql
    assert "[1500ms]" in promql


@pytest.mark.parametrize("value", [None, "NaN"])
def test_a_prometheus_that_does_not_know_tells_of_no_share(watch, serve, story, value):
    """No samples and no traffic are no ratio, neither a good one nor a bad one; the timeline has how often."""
    asked = []

    def query(_):
        asked.append(1)
        return vector(value)

    story.tell(Kind.FAULT_INJECTED, source="test", at=time.time() - 60)
    called = watch(prometheus=serve({"/api/v1/query": query, "/api/v1/alerts": QUIET}).url)
    wait_until(lambda: asked, lambda found: len(found) > 1, what="two looks", timeout_s=20)
    assert called == []


def test_alertmanager_tells_of_incidents_elsewhere_and_not_of_the_drills_own(watch, serve, story):
    """What the responder calls people for is of this place, and the judge's; silenced alerts are not even asked for."""
    story.tell(Kind.FAULT_INJECTED, source="test")
    own = {"alertname": "RollbackFailed", "severity": "critical", "system": "x0tta6bl4", "environment": "lab"}
    known, asked = [own], []

    def alerts(query):
        asked.append(query)
        return [{"labels": labels, "status": {"state": "active"}} for labels in known]

    called = watch(alertmanager=serve({"/api/v2/alerts": alerts}).url)
    wait_until(lambda: len(asked) > 2, bool, what="three looks", timeout_s=30)
    assert called == []
    known.append({"alertname": "PaymentsDown", "severity": "critical", "system": "payments"})
    stop = only(called)
    assert stop.verdict is Verdict.UNKNOWN
    assert stop.reason == "the critical alert PaymentsDown, of system payments, fires: first things first"
    assert {key: asked[0][key] for key in ("silenced", "inhibited")} == {"silenced": "false", "inhibited": "false"}


def foreign(name, **labels):
    return {"labels": {"alertname": name, "severity": "critical", **labels}, "state": "firing"}


class Cluster:
    """A Prometheus and an Alertmanager that tell what fires, the latter what is suppressed, too."""

    def __init__(self, serve, *firing, suppressed=()):
        self.firing, self.suppressed, self.looks = list(firing), list(suppressed), {"prometheus": 0, "alertmanager": 0}
        answers = {"/api/v1/alerts": self._prometheus, "/api/v1/query": vector(None)}
        self.prometheus = serve(answers).url
        self.alertmanager = serve({"/api/v2/alerts": self._alertmanager}).url

    def _prometheus(self, _):
        self.looks["prometheus"] += 1
        return {"status": "success", "data": {"alerts": [*self.firing]}}

    def _alertmanager(self, query):
        self.looks["alertmanager"] += "silenced" in query
        known = [
            {"labels": {**alert["labels"], "prometheus": "monitoring/k8s"}, "status": {"state": state}}
            for alert in self.firing
            for state in ["suppressed" if alert["labels"]["alertname"] in self.suppressed else "active"]
        ]
        return [one for one in known if "silenced" not in query or one["status"]["state"] == "active"]

    def looked(self, times=3):
        until = {source: looks + times for source, looks in self.looks.items()}
        behind = lambda: [source for source, looks in self.looks.items() if looks < until[source]]  # noqa: E731
        wait_until(behind, lambda sources: not sources, what="looks", timeout_s=30)


def test_a_first_look_that_comes_too_late_is_of_no_use_to_this_experiment_only(story, tmp_path, monkeypatch):
    """What fired when the session began is learned by the next experiment that looks in time."""
    system = load_system("x0tta6bl4")
    monkeypatch.setattr(shared, "_sessions", [shared.Session(Path("nowhere"))])
    environment = Environment(name="lab", description="test")
    story.tell(Kind.FAULT_INJECTED, source="test")
    known = foreign("KubeSchedulerDown")
    late = Noise(story, system, environment)
    late.begins("prometheus", [known])
    assert not late.known("prometheus", known["labels"])
    with closing(Story("next", "x0tta6bl4", "lab", tmp_path / "next.jsonl")) as following:
        begun = Noise(following, system, environment)
        begun.begins("prometheus", [known])
        assert begun.known("prometheus", known["labels"])


def test_what_fired_when_the_drill_began_ends_it_not_and_what_begins_then_does(watch, serve, story):
    """On a managed cluster KubeSchedulerDown fires for good: it hinders no drill, and hides no incident."""
    cluster = Cluster(serve, foreign("KubeSchedulerDown"))
    called = watch(prometheus=cluster.prometheus, alertmanager=cluster.alertmanager)
    cluster.looked()
    story.tell(Kind.FAULT_INJECTED, source="test")
    cluster.looked()
    assert called == []
    told = [event.message for event in story.timeline().of(Kind.NOTE)]
    assert "the critical alert KubeSchedulerDown of others is no reason to stop: it fired when the drill began" in told
    cluster.firing.append(foreign("PaymentsDown", system="payments"))
    assert only(called).reason == "the critical alert PaymentsDown, of system payments, fires: first things first"


def test_what_began_between_two_experiments_of_a_session_is_an_incident(story, tmp_path):
    """The state of things is that of the session's beginning, also where a source was restarted meanwhile."""
    system, env = load_system("x0tta6bl4"), Environment(name="lab", description="")
    older, newer = foreign("KubeSchedulerDown"), foreign("PaymentsDown", system="payments")
    with shared.session(tmp_path):
        Noise(story, system, env).begins("a", [older])
        noise = Noise(story, system, env)
        noise.begins("a", [newer])
        assert [noise.known("a", each["labels"]) for each in (older, newer)] == [True, False]
    alone = Noise(story, system, env)
    alone.begins("a", [newer])
    assert [alone.known("a", each["labels"]) for each in (older, newer)] == [False, True]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"system": "x0tta6bl4", "environment": "production"}, "in production"),
        ({"system": "payments"}, "of system payments"),
    ],
    ids=["this system elsewhere", "first seen after the fault"],
)
def test_an_incident_of_this_system_elsewhere_keeps_a_drill_from_going_on_whenever_it_began(
    watch, serve, story, labels, said
):
    """So does any that was first looked at after the fault: nobody knows what fired before."""
    if labels["system"] == "payments":
        story.tell(Kind.FAULT_INJECTED, source="test")
    stop = only(watch(prometheus=Cluster(serve, foreign("Down", **labels)).prometheus))
    assert stop.verdict is Verdict.UNKNOWN
    assert said in stop.reason


def test_what_alertmanager_holds_back_ends_no_drill_though_prometheus_tells_of_it(watch, serve):
    """Prometheus knows no silences: by all its labels, to which Alertmanager's copy may have more."""
    cluster = Cluster(serve)
    called = watch(prometheus=cluster.prometheus, alertmanager=cluster.alertmanager)
    cluster.looked()
    cluster.suppressed.append("Known")
    cluster.firing.append(foreign("Known", node="a"))
    cluster.looked()
    assert called == []
    cluster.suppressed.clear()
    assert "the critical alert Known, which names no system, fires" in only(called).reason


def test_what_the_environment_ignores_ends_no_drill(watch, serve):
    """By name or by labels, with shell patterns; what comes and goes would else end one drill in two."""
    cluster = Cluster(serve)
    guard = {"ignore_alerts": ["KubeScheduler*", {"namespace": "kube-system"}]}
    called = watch(prometheus=cluster.prometheus, alertmanager=cluster.alertmanager, guard=guard)
    cluster.looked()
    cluster.firing += [foreign("KubeSchedulerDown"), foreign("KubeProxyDown", namespace="kube-system")]
    cluster.looked()
    assert called == []
    cluster.firing.append(foreign("KubeProxyDown", namespace="shop"))
    assert "KubeProxyDown" in only(called).reason


def test_a_switch_that_cannot_be_read_is_no_switch_that_is_off(nobody):
    """Before it begins, an experiment must know."""
    env = Environment.model_validate(
        {"name": "lab", "description": "", "kubernetes": {"kubeconfig": "unused", **WHERE}}
    )
    with pytest.raises(KubeError):
        switched_off(env, nobody)


def test_healing_waits_for_an_api_server_that_was_away_for_a_moment(nobody, monkeypatch):
    """And for no longer than a bound: the record stays for the watchdog and for people."""
    monkeypatch.setattr(own, "BACK_WITHIN_S", 0.2)
    with pytest.raises(TimedOut, match="nothing could be healed, because the API server was out of reach"):
        own.await_api(nobody)
    answers = iter([KubeError("refused"), KubeError("refused"), {}])

    def get(_path):
        answer = next(answers)
        if isinstance(answer, KubeError):
            raise answer
        return answer

    monkeypatch.setattr(own, "BACK_WITHIN_S", 10.0)
    own.await_api(SimpleNamespace(get=get))


def test_a_fault_that_could_not_even_be_tried_is_known_to_be_left(nobody, story, monkeypatch):
    """The judge says FAIL, and not that nobody knows; other places' faults are not this drill's."""
    monkeypatch.setattr(own, "BACK_WITHIN_S", 0.2)
    ledger = Ledger()
    fault = {"server": nobody.server, "namespace": "shop", "target": "web", "undo": {}}
    entry = ledger.open("pod_kill", system="s", environment="lab", **fault)
    ledger.open("pod_kill", system="s", environment="staging", **fault)
    names = {"system": SimpleNamespace(name="s"), "env": SimpleNamespace(name="lab")}
    monkeypatch.setattr(common, "field", lambda _: nullcontext(SimpleNamespace(kube=nobody, ledger=ledger, **names)))
    story.tell(Kind.FAULT_INJECTED, source="test", fault=entry.id)
    with pytest.raises(TimedOut):
        common.heal()
    (note,) = story.timeline().of(Kind.NOTE)
    assert note.data["fault"] == entry.id
    (left,) = undone(story.timeline())
    assert left.verdict is Verdict.FAIL
    assert left.message.startswith("not healed: nothing could be healed, because the API server was out of reach")
