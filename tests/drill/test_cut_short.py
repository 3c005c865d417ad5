"""A real drill on the lab loses what it cannot go on without: it ends, heals, is no pass, and leaves nothing behind."""

import json
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import psutil
import pytest
from drill_ground import at, read, stopped

from lab import daemon
from muster.chaos.stops import FILE, LOST_S
from muster.faults import Ledger
from muster.timeline import Kind
from muster.wait import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

SLOW = {"kind": "network_delay", "latency": "20ms"}  # of one replica: in force in no time, noticed by nobody
USERS = {"load": {"rate": 100, "users": 10}}
AT_ONCE_S = 15.0  # from what went wrong to its undoing, on a machine that may stand still; the wait is 90 s


@pytest.fixture
def broken(ground, tmp_path):
    """``broken(fault, **objectives)`` -> a running drill whose fault is in force, and waits; ``.name``, ``.run``."""
    started = []

    def begin(fault, **objectives):
        name = "waiting"
        drill = ground.pytest(ground.write_waiting(name, fault, **objectives), "--run-dir", tmp_path)
        started.append(drill)
        ground.await_event(drill, tmp_path, name, Kind.FAULT_CONFIRMED.value)
        return drill

    yield begin
    for drill in started:
        if drill.poll() is None:
            drill.terminate()
            drill.wait(60)


def component(ground, name):
    """A part of the lab, as its daemon tells of it."""
    return next(each for each in daemon.status(ground.lab).components if each.name == name)


def ended(drill, run, *, code):
    """What the drill has written about itself: it was healed after it was stopped, and everybody is told the same."""
    assert drill.wait(60) == code, drill.output.read_text()
    timeline = read(run, "waiting")
    assert timeline["interrupted"].startswith("stopped: ")
    assert timeline["interrupted"] in drill.output.read_text()
    assert json.loads((run / "summary.json").read_text())["verdict"] == timeline["verdict"]
    undone = next(row for row in timeline["objectives"] if row["objective"] == "undone")
    assert undone["verdict"] == "PASS", undone
    assert at(timeline, Kind.HEALED.value) > stopped(timeline)["at"]
    return timeline


def test_a_load_generator_that_is_killed_ends_the_drill(ground, broken, tmp_path):
    """Without users nothing is known of them: UNKNOWN, which names it; the fault is undone within seconds."""
    drill = broken(SLOW, **USERS)
    (locust,) = ground.children(drill, "locust")
    killed_at = time.time()
    locust.send_signal(signal.SIGKILL)
    timeline = ended(drill, tmp_path, code=6)
    assert timeline["verdict"] == "UNKNOWN"
    assert "the load generator died: Locust ended by itself with exit code -9" in timeline["interrupted"]
    assert at(timeline, Kind.HEALED.value) - killed_at < AT_ONCE_S


@pytest.fixture
def way_in(ground):
    """What answers users, as a process; in the end it goes on."""
    process = psutil.Process(component(ground, "haproxy").pid)
    yield process
    process.resume()


def test_users_who_get_no_answers_end_the_drill(ground, broken, way_in, tmp_path):
    """Nothing fails and nothing comes: longer than the drill has agreed to."""
    drill = broken(SLOW, **USERS, stop={"no_answers": "2s"})
    silent_at = time.time()
    way_in.suspend()  # no fault of the network: a probe would meet that, too, and users would soon be refused
    ground.await_event_or_end(drill, tmp_path, "waiting", "stopped")
    way_in.resume()
    timeline = ended(drill, tmp_path, code=6)
    assert timeline["verdict"] == "UNKNOWN"
    assert "no request of users was answered for " in timeline["interrupted"]
    assert ", and no_answers is 2 s" in timeline["interrupted"]
    assert at(timeline, Kind.HEALED.value) - silent_at < 2.0 + AT_ONCE_S


@pytest.fixture
def incident(ground):
    """``incident(NAME, silenced=False)``: a critical alert of another system, as its Prometheus would post it."""
    api, undo = f"{ground.env.alertmanager}/api/v2", []

    def post(what, body):
        answer = httpx.post(f"{api}/{what}", json=body, timeout=5.0, trust_env=False)
        return answer.raise_for_status()

    def ending(**delta):
        return (datetime.now(UTC) + timedelta(**delta)).isoformat()

    def begin(name, *, silenced=False):
        if silenced:
            matcher = {"name": "alertname", "value": name, "isRegex": False, "isEqual": True}
            times = {"startsAt": ending(seconds=0), "endsAt": ending(minutes=5)}
            known = {"matchers": [matcher], "createdBy": "test", "comment": "somebody works on it", **times}
            path = f"{api}/silence/{post('silences', known).json()['silenceID']}"
            undo.append(lambda: httpx.delete(path, timeout=5.0, trust_env=False).raise_for_status())
        labels = {"alertname": name, "system": "payments", "severity": "critical"}
        over = {"startsAt": ending(seconds=-10), "endsAt": ending(seconds=-1)}
        undo.append(lambda: post("alerts", [{"labels": labels, **over}]))
        post("alerts", [{"labels": labels, "endsAt": ending(minutes=5)}])

    yield begin
    for one in reversed(undo):
        one()


def test_an_incident_elsewhere_that_only_alertmanager_knows_of_ends_the_drill(broken, incident, tmp_path):
    """People have better things to do than watch a drill, whoever told of it; what they have silenced stops nothing."""
    incident("Known", silenced=True)
    drill = broken(SLOW)
    posted_at = time.time()
    incident("PaymentsDown")
    timeline = ended(drill, tmp_path, code=6)
    assert timeline["verdict"] == "UNKNOWN"
    assert "the critical alert PaymentsDown, of system payments, fires: first things first" in timeline["interrupted"]
    assert at(timeline, Kind.HEALED.value) - posted_at < AT_ONCE_S


def test_the_kill_switch_beside_the_ledger_ends_the_drill(ground, broken, tmp_path):
    """Whoever may write there can stop it, without the cluster."""
    drill = broken(SLOW)
    switch = ground.state / FILE
    switch.touch()
    try:
        timeline = ended(drill, tmp_path, code=6)
    finally:
        switch.unlink()
    assert timeline["verdict"] == "UNKNOWN"
    assert timeline["interrupted"] == f"stopped: the kill switch is on (file {switch})"


@pytest.fixture
def api(ground):
    """The lab's API: its ``process``, ``state()``, and ``kept()``: whether the disk has what it says of networks.

    In the end it runs, whatever became of the test.
    """

    def kept():
        store = (ground.lab / "api-store.json").read_text(encoding="utf-8")
        versions = [item["metadata"]["resourceVersion"] for item in ground.network_chaos()]
        return bool(versions) and all(f'"resourceVersion":"{version}"' in store for version in versions)

    found = component(ground, "api")
    assert found.state == "running", found.message
    process = psutil.Process(found.pid)
    yield SimpleNamespace(process=process, state=lambda: component(ground, "api").state, kept=kept)
    with suppress(psutil.NoSuchProcess):
        process.resume()
    daemon.start(ground.lab, "api")


def test_a_drill_that_loses_its_api_ends_and_heals_as_soon_as_it_is_back(ground, broken, api, tmp_path):
    """It hangs, is killed and comes back: the drill stops, waits for it, undoes its fault, and is no pass."""
    drill = broken(SLOW)
    wait_until(api.kept, bool, what="the store on disk", timeout_s=20)  # etcd would have it before it answers
    lost_at = time.time()
    api.process.suspend()
    ground.await_event(drill, tmp_path, "waiting", "stopped", timeout_s=LOST_S + 10)
    assert Ledger(ground.state).left() != []  # nobody could undo it
    api.process.kill()
    wait_until(api.state, lambda state: state == "failed", what="the end of the API", timeout_s=10)
    assert drill.poll() is None  # it does not give up
    daemon.start(ground.lab, "api")
    back_at = time.time()
    timeline = ended(drill, tmp_path, code=6)
    assert timeline["verdict"] == "UNKNOWN"
    assert f"the API server was out of reach for {LOST_S:g} s" in timeline["interrupted"]
    assert LOST_S / 2 < stopped(timeline)["at"] - lost_at < LOST_S + AT_ONCE_S
    assert at(timeline, Kind.HEALED.value) - back_at < AT_ONCE_S
    listed = ground.begin("faults")
    assert listed.wait(30) == 0
    assert listed.output.read_text().startswith("no faults are left in the ledger ")
