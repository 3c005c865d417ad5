"""One drill at a time in one environment, on one machine and on several."""

import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from muster.chaos import exclusive, shared
from muster.chaos.actions import common
from muster.chaos.exclusive import Exclusive, TakenError
from muster.errors import MusterError
from muster.kube import MERGE, KubeError
from muster.lease import Lease, LeaseHeldError
from muster.system import Environment
from muster.wait import wait_until

LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
PATH = f"{LEASES}/muster-drill-web"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """``machine(n)``: what follows happens on machine ``n``, which shares no file with the others."""

    def move(number):
        monkeypatch.setenv("MUSTER_STATE", str(tmp_path / str(number)))

    move(1)
    return move


@pytest.fixture
def env(api):
    """An environment on that API server; no Lease is left of it."""
    where = {"kubeconfig": str(api.kubeconfig), "namespace": "shop", "deployment": "web", "container": "web"}
    yield Environment.model_validate(
        {"name": "lab", "description": "", "kubernetes": {**where, "selector": "app=web", "port": 80}}
    )
    for item in api.get(LEASES)["items"]:
        api.delete(f"{LEASES}/{item['metadata']['name']}")


def test_a_second_experiment_is_refused_until_the_first_has_ended():
    """The sentence names the place and the process; another environment is free; the end frees the place."""
    lab, staging = (Environment(name=name, description="") for name in ("lab", "staging"))
    with Exclusive("s", lab):
        with (
            pytest.raises(TakenError, match=r"another experiment runs on s/lab \(process \d+\)"),
            Exclusive("s", lab),
        ):
            raise AssertionError("two at once")
        with Exclusive("s", staging):
            pass
    with Exclusive("s", lab):
        pass


def test_another_machine_is_told_who_holds_it_and_since_when(api, env, machine):
    """They share nothing but the cluster; the end frees it at once."""
    with Exclusive("s", env):
        spec = api.get(PATH)["spec"]
        machine(2)
        with pytest.raises(TakenError) as refused, Exclusive("s", env):
            raise AssertionError("two at once")
        assert f"{spec['holderIdentity']}, since {spec['acquireTime'][:19]}Z" in str(refused.value)
    with Exclusive("s", env) as held:
        assert held.lost == ""


def test_one_that_nobody_renews_is_taken_over(api, env, machine):
    """Its holder's machine is gone, and with it whoever would have let go."""
    Lease(api, "shop", "muster-drill-web", me="gone").take()
    with pytest.raises(TakenError, match="gone, since"), Exclusive("s", env):
        raise AssertionError("its time is not over")
    api.patch(PATH, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, kind=MERGE)
    with Exclusive("s", env):
        assert "process" in api.get(PATH)["spec"]["holderIdentity"]
        assert api.get(PATH)["spec"]["leaseTransitions"] == 2


KILLED = """
import os, signal, sys
from muster.chaos.exclusive import Exclusive
from muster.system import Environment
with Exclusive("s", Environment.model_validate_json(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_drill_that_was_killed_here_keeps_nobody_here_waiting(api, env, machine):
    """The kernel has let go of its file, so it is dead; elsewhere nobody can know, and waits."""
    words = env.model_dump_json(include={"name", "description", "kubernetes"})
    done = subprocess.run([sys.executable, "-c", KILLED, words], check=False, capture_output=True, timeout=60)
    assert done.returncode == -9, done.stderr
    machine(2)
    with pytest.raises(TakenError, match="since"), Exclusive("s", env):
        raise AssertionError("it may live")
    machine(1)
    with Exclusive("s", env):
        pass


def test_whoever_loses_it_is_told(api, env, monkeypatch):
    """A machine with another clock has taken it: this drill must stop."""
    monkeypatch.setattr(exclusive, "RENEW_S", 0.05)
    with Exclusive("s", env) as held:
        before = api.get(PATH)["spec"]["renewTime"]
        wait_until(lambda: api.get(PATH)["spec"]["renewTime"], lambda at: at > before, what="a renewal", timeout_s=10)
        api.patch(PATH, {"metadata": {"labels": {"seen": "yes"}}}, kind=MERGE)  # somebody looks at it, no more
        api.patch(PATH, {"spec": {"holderIdentity": "another"}}, kind=MERGE)
        wait_until(lambda: held.lost, bool, what="the loss", timeout_s=10)
        assert held.lost == "another has taken the Lease muster-drill-web, so this drill is not alone any more"
    assert api.get(PATH)["spec"]["holderIdentity"] == "another"


def test_one_that_was_deleted_is_lost(api, env, monkeypatch):
    """Whoever deletes it means that somebody else may begin."""
    monkeypatch.setattr(exclusive, "RENEW_S", 0.05)
    with Exclusive("s", env) as held:
        api.delete(PATH)
        wait_until(lambda: held.lost, bool, what="the loss", timeout_s=10)
        assert "was deleted" in held.lost


def test_a_cluster_that_does_not_answer_loses_it_in_time(api, env, monkeypatch):
    """By then others may take it."""
    monkeypatch.setattr(exclusive, "RENEW_S", 0.05)
    monkeypatch.setattr(exclusive, "RETRY_S", 0.05)
    monkeypatch.setattr(exclusive, "DURATION_S", 0.3)

    def refused(_lease):
        raise KubeError("connection refused")

    monkeypatch.setattr(Lease, "renew", refused)
    with Exclusive("s", env) as held:
        wait_until(lambda: held.lost, bool, what="the loss", timeout_s=10)
        assert "could not be renewed" in held.lost


HOLDING = """
import sys
from muster.chaos.exclusive import Exclusive
from muster.system import Environment
with Exclusive("s", Environment(name="lab", description="")):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_an_experiment_that_was_refused_heals_nothing_of_the_one_that_runs(tmp_path, monkeypatch):
    """Chaos Toolkit plays its rollbacks all the same, and the ledger's faults are the other's."""
    assert exclusive.busy("s", "lab") == ""
    with Exclusive("s", Environment(name="lab", description="")):
        assert exclusive.busy("s", "lab") == ""  # it is we
    with subprocess.Popen([sys.executable, "-c", HOLDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        assert exclusive.busy("s", "lab") == f"process {other.pid}"
        place = SimpleNamespace(system=SimpleNamespace(name="s"), env=SimpleNamespace(name="lab"))
        monkeypatch.setattr(common, "field", lambda _: nullcontext(place))
        with pytest.raises(TakenError, match=rf"nothing was healed: .* another experiment \(process {other.pid}\)"):
            common.heal()
        other.stdin.close()
    assert exclusive.busy("s", "lab") == ""


def test_experiments_of_one_drill_share_what_it_holds():
    """The drill holds it from before the first to after the last; what was lost is not begun with again."""
    lab = Environment(name="lab", description="")
    with shared.alone("s", lab) as held:
        with shared.alone("s", lab) as within:
            assert within is held
        assert exclusive.lock_file("s", "lab").exists()
        held._lost = "another has taken the Lease"
        with pytest.raises(MusterError, match="another has taken"), shared.alone("s", lab):
            raise AssertionError("begun")
    with shared.alone("s", lab) as later:
        assert later is not held


def test_of_two_who_take_it_at_once_one_wins(api, env):
    """Both have read that it is free; the version that they read decides."""
    first, second = (Lease(api, "shop", "muster-drill-web", me=name) for name in ("first", "second"))
    read = second.read()
    first.take()
    second.read = lambda: read
    with pytest.raises(LeaseHeldError, match="faster"):
        second.take()
    first.renew()
    first.release()
    assert second.holder() is None
