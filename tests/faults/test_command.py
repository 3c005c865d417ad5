"""``muster faults`` and ``muster heal`` where no cluster is needed."""

import json
import re

import pytest
from click.testing import CliRunner

from muster.cli.faults import command as faults_command
from muster.cli.heal import command as heal_command
from muster.errors import MusterError, Unknown, UsageError
from muster.faults import Ledger

GIVEN = {"system": "x0tta6bl4", "environment": "lab", "server": "https://127.0.0.1:1", "namespace": "shop"}


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """The ledger that the commands find by the environment variable."""
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path))
    monkeypatch.setenv("LAB_STATE", str(tmp_path / "no-lab"))
    ledger = Ledger()
    ledger.begin()
    return ledger


def _run(command, *words):
    result = CliRunner().invoke(command, words, standalone_mode=False)
    if isinstance(result.exception, MusterError):
        raise result.exception
    assert result.exception is None, result.exception
    return result


def _none_left(output, ledger):
    return output.startswith(
        f"no faults are left in x0tta6bl4/lab by the ledger {ledger.folder} (its objects could not be"
    )


def test_empty_ledger_is_said(ledger):
    """No output at all would leave the question open."""
    assert _run(faults_command).output == f"no faults are left in the ledger {ledger.folder}\n"


@pytest.mark.parametrize("command", [faults_command, heal_command])
def test_a_ledger_that_was_never_kept_is_no_knowledge(tmp_path, monkeypatch, command):
    """Whoever stands in the wrong folder must not read "no faults are left"; it says where it looked, and is kind."""
    monkeypatch.setenv("LAB_STATE", str(tmp_path / "no-lab"))
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path / "elsewhere"))
    with pytest.raises(
        Unknown, match=r"elsewhere/ledger.*fine if none ever ran from here.*MUSTER_STATE names"
    ) as raised:
        _run(command)
    assert raised.value.exit_code == 6
    assert not (tmp_path / "elsewhere").exists()


def test_an_environment_that_does_not_exist_has_not_been_healed(ledger):
    """A typing error must not read as "no faults are left"."""
    with pytest.raises(MusterError, match="no environment 'nope'"):
        _run(heal_command, "--env", "nope")
    assert _none_left(_run(heal_command).output, ledger)


def test_open_faults_are_listed_and_healed_ones_only_when_asked(ledger):
    """State, end, age, place and target on one line, and on the next how it is undone, in the kind's own words."""
    open_one = ledger.open("bad_release", **GIVEN, target="deployment/web", undo={}, expires_s=-61)
    lasting = ledger.open("scale_to_zero", **GIVEN, target="deployment/web", undo={}, expires_s=7200.4)
    healed = ledger.healed(ledger.open("pod_kill", **GIVEN, target="pods a", undo={}), "whole again")
    listed = _run(faults_command).output
    assert open_one.id in listed
    assert re.search(rf"{open_one.id}  opening, expired 1m\d+s? ago  ", listed)
    assert re.search(rf"{lasting.id}  opening, ends by itself in (2h|1h59m\d*s?)  ", listed)
    assert "  undone by `muster heal --system x0tta6bl4 --env lab`: Scale it back if it is still at 0" in listed
    assert healed.id not in listed
    assert "whole again" in _run(faults_command, "--all").output


def test_json_is_stable_and_leaves_the_undo_out(ledger):
    """Templates may hold what belongs in no log."""
    entry = ledger.open("bad_release", **GIVEN, target="deployment/web", undo={"good": {"env": "secret"}})
    output = _run(faults_command, "--json").output
    listing = json.loads(output)
    (fault,) = listing["faults"]
    assert (listing["schema"], fault["id"]) == ("muster/faults/v1", entry.id)
    assert 0 < fault["ends_in_s"] <= 600
    assert fault["undone_so"].startswith("Take what was injected out of the Deployment")
    assert fault["undone_by"] == "muster heal --system x0tta6bl4 --env lab"
    assert "secret" not in output


def test_corrupt_record_is_an_error_after_the_list(ledger):
    """The others are listed first."""
    ledger.open("bad_release", **GIVEN, target="deployment/web", undo={})
    (ledger.folder / "0-corrupt.json").write_text("[]")
    with pytest.raises(MusterError, match="0-corrupt"):
        _run(faults_command)


def test_nothing_to_heal_needs_no_environment(ledger):
    """The lab may be down: that is no error when nothing is left."""
    ledger.healed(ledger.open("pod_kill", **GIVEN, target="pods a", undo={}))
    assert _none_left(_run(heal_command).output, ledger)


def test_fault_of_a_cluster_that_is_down_is_an_error(ledger):
    """It is left, and nobody can say how it is."""
    ledger.open("bad_release", **GIVEN, target="deployment/web", undo={})
    with pytest.raises(MusterError, match="lab"):
        _run(heal_command)


def test_fault_of_another_environment_is_not_said_to_be_healed(ledger):
    """It is named where it belongs; "no faults are left" with exit code 0 would be a lie about it."""
    entry = ledger.open("bad_release", **GIVEN | {"environment": "staging"}, target="deployment/web", undo={})
    with pytest.raises(UsageError, match="--system x0tta6bl4 --env staging"):
        _run(heal_command, "--only", entry.id)


def test_one_that_is_healed_is_said_to_be_without_asking_anybody(ledger):
    """Its watchdog asks so; others' marks are not its business."""
    healed = ledger.healed(ledger.open("pod_kill", **GIVEN, target="pods a", undo={}))
    assert _run(heal_command, "--only", healed.id).output.startswith(f"{healed.id}: it is healed already")


@pytest.mark.parametrize("place", [{"environment": "staging"}, {"system": "shop"}])
def test_faults_of_another_place_do_not_ask_this_one_to_run_and_are_named(ledger, place):
    """What is left in staging says nothing of a lab that is down; "no faults are left" alone would be read as all."""
    where = GIVEN | place
    entry = ledger.open("bad_release", **where, target="deployment/web", undo={})
    healed = _run(heal_command)
    assert _none_left(healed.output, ledger)
    assert healed.return_value == 1
    assert f"STILL OPEN in {where['system']}/{where['environment']}: bad_release of deployment/web" in healed.output
    assert entry.id in healed.output
    assert f"`muster heal --system {where['system']} --env {where['environment']}`" in healed.output
    ledger.healed(entry)
    assert _run(heal_command).return_value == 0


def test_forgotten_record_is_gone_without_healing(ledger):
    """By its id, and only by one that is there."""
    entry = ledger.open("bad_release", **GIVEN, target="deployment/web", undo={})
    _run(heal_command, "--forget", entry.id)
    assert ledger.entries() == []
    with pytest.raises(MusterError, match="holds no fault"):
        _run(heal_command, "--forget", entry.id)
