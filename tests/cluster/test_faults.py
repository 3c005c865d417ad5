"""Faults and their healing against the API stand-in, the healing from new processes too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from muster.errors import UsageError
from muster.faults import Ledger, Refused, bad_release, heal, pod_kill
from muster.kube import Kube, KubeError

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ledger(shop):
    return Ledger(shop.folder / ".muster")


def _inject(shop, ledger, **env_vars):
    variables = env_vars or {"FAULT_ERROR_RATIO": "0.15"}
    return bad_release.inject(ledger, shop.kube, shop.env, system="x0tta6bl4", env_vars=variables)


def _muster(shop, *words, **variables):
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "MUSTER_ENV": "here", "MUSTER_STATE": ".muster", **variables}
    argv = [sys.executable, "-m", "muster", *words]
    return subprocess.run(argv, cwd=shop.folder, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_bad_release_reaches_every_pod_and_heals(shop, ledger):
    """Confirmed by what runs, undone to the very template that was there."""
    before = shop.look().template
    entry = _inject(shop, ledger)
    assert ledger.get(entry.id).state == "injected"
    confirmed_at = bad_release.confirm(shop.kube, shop.env, entry, timeout_s=60)
    assert confirmed_at >= entry.injected_at
    assert len(bad_release.pods_of(shop.kube, entry)) == 3
    (result,) = heal(ledger, shop.kube, shop.env)
    assert result.ok, result.message
    assert shop.settle().template == before
    assert heal(ledger, shop.kube, shop.env) == []


def test_heal_after_a_rollback_has_nothing_to_do(shop, ledger):
    """The responder was faster: the good release must not be touched."""
    entry = _inject(shop, ledger)
    bad_release.confirm(shop.kube, shop.env, entry, timeout_s=60)
    shop.kube.patch(
        shop.path,
        [{"op": "replace", "path": "/spec/template", "value": entry.undo["good"]}],
        kind="application/json-patch+json",
    )
    revision = shop.settle().deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    (result,) = heal(ledger, shop.kube, shop.env)
    assert result.ok
    assert "no longer asks" in result.message
    assert shop.look().deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == revision


def test_record_of_a_fault_that_never_came_heals_to_nothing(shop, ledger):
    """Killed between record and injection."""
    good = shop.look().template
    bad = bad_release.with_changes(good, "web", {"A": "1"}, None)
    undo = {"deployment": "web", "good": good, "bad": bad}
    place = {"environment": "here", "server": shop.kube.server, "namespace": shop.namespace, "target": "deployment/web"}
    ledger.open("bad_release", system="x0tta6bl4", undo=undo, **place)
    (result,) = heal(ledger, shop.kube, shop.env)
    assert result.ok
    assert ledger.left() == []


def test_refused_injection_leaves_nothing_to_heal(shop, ledger):
    """The server said no: the record says so, too."""
    with pytest.raises(KubeError):
        bad_release.inject(ledger, shop.kube, shop.env, system="x0tta6bl4", env_vars={}, image="")
    assert ledger.left() == []


def test_a_release_needs_the_whole_share(shop, ledger):
    """It ends on every replica: half of them cannot be kept well."""
    half = shop.env.guard.model_copy(update={"max_share": 0.5})
    with pytest.raises(Refused, match="50% of the ready pods at most, not on 3 of 3"):
        bad_release.intend(shop.kube, shop.env.model_copy(update={"guard": half}), env_vars={"A": "1"})
    intent = bad_release.intend(shop.kube, shop.env, env_vars={"A": "1"})
    assert (intent.pods, intent.ready) == (3, 3)


def test_same_release_again_is_no_fault(shop, ledger):
    """Nothing would change, so nothing is recorded."""
    _inject(shop, ledger)
    with pytest.raises(UsageError, match="already runs"):
        _inject(shop, ledger)
    heal(ledger, shop.kube, shop.env)


def test_guard_refuses_other_namespaces(shop, ledger):
    """Nothing is written and nothing is touched."""
    shop.write_facts(guard={"namespaces": ["elsewhere"], "max_pods": 3})
    with pytest.raises(Refused, match="allowed: elsewhere"):
        _inject(shop, ledger)
    assert ledger.entries() == []


def test_guard_refuses_more_pods_than_allowed(shop, ledger):
    """The blast radius is the environment's, not the experiment's."""
    shop.write_facts(guard={"namespaces": [shop.namespace], "max_pods": 1})
    with pytest.raises(Refused, match="1 pods at most, not on 3"):
        pod_kill.inject(ledger, shop.kube, shop.env, system="x0tta6bl4", how_many="all")


def test_guard_refuses_another_server_than_the_environments(shop, ledger):
    """A session that came from anywhere else."""
    elsewhere = type(shop.kube.access)("https://localhost:1", {}, verify=False)
    with Kube(elsewhere) as kube, pytest.raises(Refused, match="is at https"):
        bad_release.guard.allow(shop.env, kube, namespace=shop.namespace)


def test_heal_refuses_another_cluster(shop, ledger):
    """The record's server is compared before anything is sent."""
    place = {"environment": "here", "server": "https://10.0.0.1:6443", "namespace": shop.namespace, "target": "t"}
    entry = ledger.open("bad_release", system="x0tta6bl4", undo={"deployment": "web"}, **place)
    (result,) = heal(ledger, shop.kube, shop.env)
    assert not result.ok
    assert "was injected at https://10.0.0.1:6443" in result.message
    assert ledger.get(entry.id).open


@pytest.mark.parametrize(("how_many", "count"), [("one", 1), ("all", 3)])
def test_killed_pods_are_gone_and_replaced(shop, ledger, how_many, count):
    """Exactly those chosen; heal waits until the Deployment is whole again."""
    names = {pod["metadata"]["name"] for pod in shop.look().serving()}
    entry = pod_kill.inject(ledger, shop.kube, shop.env, system="x0tta6bl4", how_many=how_many, last_replica=True)
    pod_kill.confirm(shop.kube, shop.env, entry)
    (result,) = heal(ledger, shop.kube, shop.env)
    assert result.ok, result.message
    now = {pod["metadata"]["name"] for pod in shop.look().serving()}
    assert names - now == {pod["name"] for pod in entry.undo["pods"]}
    assert (len(names - now), len(now)) == (count, 3)


def test_heal_from_a_new_process_any_number_of_times(shop, ledger):
    """What a killed drill leaves behind, as its user finds it: listed, healed, gone."""
    entry = _inject(shop, ledger)
    assert entry.id in _muster(shop, "faults").stdout
    elsewhere = _muster(
        shop, "heal", MUSTER_STATE="elsewhere"
    )  # another ledger: it is named, and not said to be healed
    assert (elsewhere.returncode, "deployment/web (fault " + entry.id in elsewhere.stderr) == (6, True), (
        elsewhere.stderr
    )
    first = _muster(shop, "heal")
    assert (first.returncode, "good release again" in first.stdout) == (0, True), first.stderr
    second = _muster(shop, "heal")
    assert (second.returncode, second.stdout.startswith("no faults are left in ")) == (0, True)
    assert "FAULT_ERROR_RATIO" not in str(shop.settle().template)


def test_corrupt_record_fails_heal_but_hinders_no_other(shop, ledger):
    """One sentence for it, exit 1, and the other fault is undone."""
    entry = _inject(shop, ledger)
    (ledger.folder / "0-corrupt.json").write_text("{")
    result = _muster(shop, "heal")
    assert result.returncode == 1
    assert "0-corrupt" in result.stdout
    assert ledger.get(entry.id).state == "healed"
    assert _muster(shop, "heal", "--forget", "0-corrupt").returncode == 0
    assert _muster(shop, "heal").returncode == 0
