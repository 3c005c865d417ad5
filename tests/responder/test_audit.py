"""The audit is on disk when append returns, and survives a crash in the middle of a line."""

import json

import pytest

from muster.responder import audit as audits
from muster.responder.audit import Audit, AuditError
from muster.timeline import Kind


@pytest.fixture
def open_audit(tmp_path):
    """Opens the same file again and again, as restarts do."""
    audits = []

    def _open():
        audits.append(Audit(tmp_path / "audit" / "shop.jsonl"))
        return audits[-1]

    yield _open
    for audit in audits:
        audit.close()


def test_record_is_one_line_of_json_at_once(open_audit):
    """Time, kind, alert, message, data: without closing or flushing anything."""
    audit = open_audit()
    audit.append(Kind.DECIDED, alert="Down", message="refuse: no", decision="refuse")
    record = json.loads(audit.path.read_text())
    assert record["kind"] == "decided"
    assert record["data"] == {"alert": "Down", "decision": "refuse"}
    assert audit.since(record["at"]) == [record]
    assert audit.since(record["at"] + 0.001) == []


def test_next_run_reads_the_records_back(open_audit):
    """A restarted responder knows what it decided."""
    open_audit().append(Kind.NOTE, alert="Down", message="one")
    again = open_audit()
    again.append(Kind.NOTE, alert="Down", message="two")
    assert [record["message"] for record in again.since(0)] == ["one", "two"]


def test_line_cut_off_by_a_crash_costs_only_itself(open_audit):
    """The next record starts on a line of its own."""
    audit = open_audit()
    audit.append(Kind.NOTE, alert="Down", message="one")
    with audit.path.open("a") as file:
        file.write('{"at": 17, "ki')
    again = open_audit()
    again.append(Kind.NOTE, alert="Down", message="two")
    assert again.unreadable == 1
    assert [record["message"] for record in open_audit().since(0)] == ["one", "two"]


def test_a_time_that_was_written_as_text_is_a_number_to_whoever_asks(open_audit):
    """Else the first question after it would fail, and every later one."""
    audit = open_audit()
    with audit.path.open("a") as file:
        file.write('{"at": "17.5", "kind": "note", "alert": "", "message": "by hand", "data": {}}\n')
    (record,) = open_audit().since(17)
    assert record["at"] == 17.5


def test_record_that_cannot_be_written_is_an_error_and_not_kept(open_audit):
    """Whoever asks for the audit must not see what is not on disk."""
    audit = open_audit()
    audit.close()
    with pytest.raises(AuditError, match="cannot be written"):
        audit.append(Kind.NOTE, alert="Down", message="lost")
    assert audit.since(0) == []


def test_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    """A file stands in the way."""
    (tmp_path / "audit").write_text("")
    with pytest.raises(AuditError, match="cannot be opened"):
        Audit(tmp_path / "audit" / "shop.jsonl")


def test_counts_are_of_all_records_also_of_those_that_are_no_longer_kept(open_audit, monkeypatch):
    """A counter that falls would look like a restart to Prometheus; the next run counts from the file."""
    monkeypatch.setattr(audits, "KEPT", 2)
    audit = open_audit()
    for _ in range(5):
        audit.append(Kind.DECIDED, alert="Down", message="no", decision="refuse", refusal="cool-down")
    series = ("muster_responder_decisions_total", (("decision", "refuse"), ("refusal", "cool-down")))
    assert len(audit.since(0)) == 2
    assert audit.counts() == open_audit().counts() == {series: 5}


REFUSED = ("muster_responder_decisions_total", (("decision", "refuse"), ("refusal", "cool-down")))


def refuse(audit, times):
    for number in range(times):
        audit.append(Kind.DECIDED, alert="Down", message=str(number), decision="refuse", refusal="cool-down")


def test_a_full_file_is_set_aside_and_totals_go_on(open_audit, monkeypatch):
    """The disk holds two files at most, the newest records among them; no counter falls, now or after a restart."""
    monkeypatch.setattr(audits, "TURNED_BYTES", 2000)
    audit = open_audit()
    refuse(audit, 100)
    kept = sorted(audit.path.parent.iterdir())
    assert kept == [audit.path, audits.aside(audit.path)]
    assert all(file.stat().st_size < 2400 for file in kept)
    again = open_audit()
    assert audit.counts() == again.counts() == {REFUSED: 100}
    newest = [record["message"] for record in again.since(0)]
    assert newest == [str(number) for number in range(100 - len(newest), 100)]
    assert len(newest) >= 10
    assert (again.unreadable, audit.ailment) == (0, "")
    audits.forget(audit.path)
    assert list(audit.path.parent.iterdir()) == []


def test_no_record_is_lost_when_it_dies_while_it_sets_a_file_aside(open_audit, monkeypatch):
    """Between any two of its steps: with the new file beside the full one, and with none in its place."""
    audit = open_audit()
    refuse(audit, 5)
    audit.path.with_name(f"{audit.path.name}.new").write_text('{"totals":[]}\n')
    assert open_audit().counts() == {REFUSED: 5}
    audit.path.replace(audits.aside(audit.path))
    again = open_audit()
    assert (again.counts(), len(again.since(0))) == ({REFUSED: 5}, 5)
    monkeypatch.setattr(audits, "TURNED_BYTES", 1)
    refuse(again, 1)
    assert open_audit().counts() == {REFUSED: 6}


def test_a_file_that_cannot_be_set_aside_is_said_and_goes_on_being_written(open_audit, monkeypatch):
    """The record itself is on disk; setting aside is tried again with the next, and then nothing is missing."""
    monkeypatch.setattr(audits, "TURNED_BYTES", 1)
    audit = open_audit()
    audits.aside(audit.path).mkdir()
    refuse(audit, 2)
    assert "is full and cannot be set aside" in audit.ailment
    assert len(audit.path.read_text().splitlines()) == 2
    audits.aside(audit.path).rmdir()
    refuse(audit, 1)
    assert audit.ailment == ""
    again = open_audit()
    assert (again.counts(), len(again.since(0))) == ({REFUSED: 3}, 3)
