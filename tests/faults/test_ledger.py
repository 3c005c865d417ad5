"""A fault's record is on disk before the fault, and nothing hides it afterwards."""

import json
import stat

import pytest

from muster.faults import Ledger, LedgerError

GIVEN = {
    "system": "shop",
    "environment": "here",
    "server": "https://127.0.0.1:1",
    "namespace": "shop",
    "target": "deployment/web",
    "undo": {"deployment": "web"},
}


def test_record_is_on_disk_when_open_returns(tmp_path):
    """Before injection, in state opening, with all that another process needs."""
    entry = Ledger(tmp_path).open("bad_release", **GIVEN, expires_s=60)
    stored = json.loads((tmp_path / "ledger" / f"{entry.id}.json").read_text())
    assert (stored["schema"], stored["state"], stored["injected_at"]) == ("muster/fault/v1", "opening", None)
    assert stored["undo"] == {"deployment": "web"}
    assert stored["expires_at"] - stored["opened_at"] == 60


def test_states_go_opening_injected_healed(tmp_path):
    """Each is what a new process reads."""
    ledger = Ledger(tmp_path)
    entry = ledger.open("bad_release", **GIVEN)
    ledger.injected(entry, at=17.0)
    assert (Ledger(tmp_path).get(entry.id).state, Ledger(tmp_path).get(entry.id).injected_at) == ("injected", 17.0)
    assert Ledger(tmp_path).left()
    ledger.healed(entry, "put back")
    assert Ledger(tmp_path).get(entry.id).note == "put back"
    assert Ledger(tmp_path).left() == []


def test_half_written_record_leaves_the_old_one(tmp_path):
    """A crash while writing leaves a part file, which is not a record."""
    ledger = Ledger(tmp_path)
    entry = ledger.open("bad_release", **GIVEN)
    (ledger.folder / f"{entry.id}.1.part").write_text('{"schema": "mus')
    assert ledger.entries() == [entry]


def test_corrupt_record_is_a_sentence_and_hides_no_other(tmp_path):
    """It names the file and what to do."""
    ledger = Ledger(tmp_path)
    entry = ledger.open("bad_release", **GIVEN)
    (ledger.folder / "0-broken.json").write_text("{")
    broken, kept = ledger.records()
    assert isinstance(broken, LedgerError)
    assert "0-broken.json" in str(broken)
    assert "--forget 0-broken" in str(broken)
    assert kept == entry
    ledger.forget("0-broken")
    assert list(ledger.records()) == [entry]


def test_folder_that_cannot_be_written_stops_before_injection(tmp_path):
    """No record, no fault."""
    (tmp_path / "ledger").write_text("")
    with pytest.raises(LedgerError, match="nothing was changed"):
        Ledger(tmp_path).open("bad_release", **GIVEN)


@pytest.mark.parametrize("name", ["../x", "", "a/b", "A"])
def test_id_is_never_a_path(tmp_path, name):
    """Ids come from command lines."""
    with pytest.raises(LedgerError, match="not the id"):
        Ledger(tmp_path).get(name)


def test_expiry_is_by_the_clock(tmp_path):
    """A fault whose time is over says so."""
    entry = Ledger(tmp_path).open("bad_release", **GIVEN, expires_s=60)
    assert not entry.expired(entry.opened_at + 59)
    assert entry.expired(entry.opened_at + 60)


def test_records_are_for_their_users_eyes_only(tmp_path):
    """They hold whole pod templates, whose variables may be secrets; a folder that an older Muster made is closed."""
    (tmp_path / "ledger").mkdir(mode=0o755)
    ledger = Ledger(tmp_path)
    entry = ledger.open("bad_release", **GIVEN)
    ledger.injected(entry)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (ledger.folder, ledger.file_of(entry))] == [0o700, 0o600]
