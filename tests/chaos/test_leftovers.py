"""No drill begins over faults that are open: what nobody owns is undone first, anything else is a refusal."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from small_system import write_small_system

from muster.chaos import leftovers, plan, shared
from muster.chaos.actions import common
from muster.chaos.exclusive import TakenError, busy
from muster.errors import MusterError, Unknown
from muster.faults import Ledger, faults
from muster.system import load_environment, load_system

ENVIRONMENTS = """
here:
  description: Nothing but a cluster
  kubernetes:
    {kubeconfig: KUBECONFIG, server: "http*", namespace: shop, deployment: web, container: web, selector: a=b, port: 80}
  guard: {namespaces: [shop]}
bare: {description: Nothing at all}
"""
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"


@pytest.fixture
def place(tmp_path, api, monkeypatch):
    """A place without anything left in it; ``healed`` names the faults that were undone, ``stuck`` keeps them."""
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    write_small_system(tmp_path, ENVIRONMENTS.replace("KUBECONFIG", str(api.kubeconfig)))
    env = load_environment(load_system("small"), "here")
    found = SimpleNamespace(env=env, ledger=Ledger(), healed=[], said=[], stuck=False, server=api.server)

    def heal(_kube, _env, entry):
        if found.stuck:
            raise MusterError("it is stuck")
        found.healed.append(entry.id)
        return "mended"

    monkeypatch.setitem(faults(), "fake", SimpleNamespace(KIND="fake", NEEDS=frozenset(), heal=heal))
    return found


@pytest.fixture
def leave(place):
    """``leave(environment, living=)`` -> the open record of a process that has ended, or of this one."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(30)

    def record(environment="here", *, living=False):
        given = {"system": "small", "environment": environment, "server": place.server, "namespace": "shop"}
        entry = place.ledger.open("fake", **given, target="pods a", undo={})
        if not living:
            file = place.ledger.file_of(entry)
            file.write_text(json.dumps(json.loads(file.read_text()) | {"pid": gone.pid}))
        return entry

    return record


def begin(place):
    """As every drill does; whether it may."""
    with shared.alone("small", place.env, say=place.said.append):
        return True


def test_what_a_killed_drill_left_is_undone_before_anything_begins_and_told(place, leave):
    """Once, for the whole session; another environment's fault is not this drill's."""
    entry, other = leave(), leave("there")
    with shared.alone("small", place.env, say=place.said.append):
        assert place.healed == [entry.id]
        assert [fault.id for fault in place.ledger.left()] == [other.id]
        assert begin(place)
    told = [line for line in place.said if "may not list" not in line]
    assert told[0].startswith(f"an earlier drill left fake of pods a (fault {entry.id}, ends by itself in ")
    assert told[1:] == ["healed: mended"]


def test_a_fault_of_a_process_that_lives_is_its_own_to_undo(place, leave):
    """Injected by hand, say: nothing begins over it, and nobody heals it behind that process' back."""
    entry = leave(living=True)
    words = rf"nothing begins in small/here while .*{entry.id}.* of process {os.getpid()}, which is alive.*muster heal"
    with pytest.raises(MusterError, match=words):
        begin(place)
    assert (place.healed, [each.id for each in place.ledger.left()]) == ([], [entry.id])


def test_the_rollbacks_of_an_experiment_that_was_refused_heal_nothing_of_it_either(place, leave, monkeypatch):
    """Chaos Toolkit plays them all the same."""
    entry = leave(living=True)
    monkeypatch.setattr(os, "getpid", lambda: entry.pid + 1)  # as another process sees it
    with pytest.raises(TakenError, match=rf"nothing was healed: fault {entry.id} is of process"):
        common.heal(configuration={"system": "small", "environment": "here"})
    assert place.healed == []


def test_what_cannot_be_undone_keeps_a_drill_from_beginning(place, leave):
    """One sentence with the way out; the place is free again for whoever mends it, and for the next drill then."""
    entry, place.stuck = leave(), True
    words = (
        rf"nothing begins in small/here: what an earlier drill left could not be undone: fault {entry.id}: it is stuck"
    )
    with pytest.raises(MusterError, match=words + r"; muster faults lists what is open, muster heal undoes it"):
        begin(place)
    assert busy("small", "here") == ""
    place.stuck = False
    assert begin(place)


def test_a_record_that_cannot_be_read_is_no_knowledge_that_nothing_is_open(place):
    """UNKNOWN (exit code 6), also where there is no cluster."""
    place.ledger.begin()
    (place.ledger.folder / "20260101t000000-fake-abc.json").write_text("{")
    for env in (place.env, load_environment(load_system("small"), "bare")):
        place.env = env
        with pytest.raises(Unknown, match=r"whether a fault is open is not known: .*corrupt.*--forget"):
            begin(place)


def test_marks_of_a_fault_that_no_record_knows_keep_a_drill_from_beginning(place, api):
    """Another ledger's drill has left them, or a record was dropped; the sentence names the object."""
    notes = {"muster.dev/fault": "theirs", "muster.dev/fault-expires": "2026-01-07T10:20:00Z"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    api.post(DEPLOYMENTS, {"metadata": {"name": "web", "annotations": notes}, "spec": spec})
    try:
        with pytest.raises(Unknown, match=r"nothing begins in .*deployment/web \(fault theirs, .*MUSTER_STATE"):
            begin(place)
    finally:
        api.delete(f"{DEPLOYMENTS}/web")
    assert begin(place)


def test_a_place_without_a_cluster_cannot_be_healed(place, leave):
    """Its facts have changed since: the record says that something is open."""
    leave("bare")
    place.env = load_environment(load_system("small"), "bare")
    with pytest.raises(MusterError, match=r"nothing begins in small/bare: .*declares no kubernetes"):
        begin(place)


EXPERIMENT = {
    "title": "A test",
    "description": "of what is open before it",
    "configuration": {"system": "small", "environment": "here"},
    "runtime": {"rollbacks": {"strategy": "always"}},
    "controls": [
        {
            "name": "recorder",
            "provider": {"type": "python", "module": "muster.chaos.recorder", "arguments": {"name": "test"}},
        }
    ],
    "extensions": [{"name": "muster", "must_not": ["rollback"]}],
    "method": [
        {
            "type": "action",
            "name": "break",
            "provider": {"type": "python", "module": "os", "func": "mkdir", "arguments": {"path": "broken"}},
        }
    ],
    "rollbacks": [],
}


def test_a_plan_tells_what_is_open_and_heals_nothing(place, leave):
    """What would be healed first is no refusal; what would keep the drill from beginning is one."""
    entry = leave()
    drawn = plan.draw("test", EXPERIMENT)
    assert f"fault {entry.id}" in " ".join(dict(drawn.parts)["left"])
    assert drawn.refused == ()
    leave(living=True)
    (reason,) = plan.draw("test", EXPERIMENT).refused
    assert "which is alive" in reason
    assert place.healed == []
    assert len(place.ledger.left()) == 2


def test_an_account_that_may_not_list_is_told_so(place, monkeypatch):
    """Not seeing a mark is not the same as none; it keeps nobody from beginning, as smoke of the rest still looks."""
    monkeypatch.setattr(leftovers, "strays", lambda *_: ([], ["/api/v1/nodes"]))
    assert begin(place)
    assert place.said == ["this account may not list /api/v1/nodes, so marks of faults there are not seen"]


@pytest.mark.parametrize("command", ["pytest", "drill"])
def test_whoever_begins_a_drill_is_refused_in_one_sentence(place, tmp_path, command):
    """`pytest experiments` and `muster drill` alike: exit code 6, nothing was broken, no traceback."""
    place.ledger.begin()
    (place.ledger.folder / "20260101t000000-fake-abc.json").write_text("{")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "test.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (tmp_path / "experiments" / "conftest.py").write_text(
        "from muster.drill.session import begin\n\ndef pytest_configure(config):\n    begin(config)\n"
    )
    place = ["--system", "small", "--env", "here", "--run-dir", str(tmp_path / "run")]
    light = ["-p", "muster.pytest_plugin", "--disable-plugin-autoload", "-p", "no:cacheprovider"]
    words = {"pytest": ["pytest", *light, "experiments"], "drill": ["muster", "drill", "test"]}[command]
    done = subprocess.run(
        [sys.executable, "-m", *words, *place], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 6, said
    assert "nothing begins in small/here: whether a fault is open is not known" in said
    assert "Traceback" not in said
    assert not (tmp_path / "broken").exists()
