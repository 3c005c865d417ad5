"""What people's tools read is described: every kind of event, every field of the audit's records."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from muster.release import Proof, Stage, Symptom
from muster.responder import audit as audits
from muster.responder.audit import Audit
from muster.responder.compare import Comparison
from muster.responder.decide import Refusal
from muster.responder.journal import Journal
from muster.responder.lock import Intent
from muster.timeline import Kind
from muster.verdict import Verdict

OUTPUTS = (Path(__file__).resolve().parents[2] / "docs" / "outputs.md").read_text()
_, _, AUDIT = OUTPUTS.partition("## The responder's audit")


def test_every_kind_stands_among_the_timelines():
    """A kind that is told and not described is one that nobody's tool expects."""
    (listed,) = re.findall(r"Kinds: (.*?)\.\n", OUTPUTS, re.DOTALL)
    assert sorted(re.findall(r"`([\w.]+)`", listed)) == sorted(Kind)


@pytest.fixture
def written(tmp_path, alert, release):
    """One record of each kind that the journal writes, as the lines of its file."""
    audit = Audit(tmp_path / "audit.jsonl")
    api = SimpleNamespace(get=lambda *_: {"metadata": {"uid": "u", "resourceVersion": "1"}}, post=lambda *_: None)
    journal = Journal(audit, api, SimpleNamespace(deployment="web", namespace="shop"))
    fired, compared = alert(), Comparison(blames=None, message="not compared: nobody answered").record()
    intent = Intent(alert=fired.name, key=fired.key, bad=release(), target=release(1, "good"), decided_at=0.0)
    audit.append(Kind.WEBHOOK_RECEIVED, alert=fired.name, message="", repeated=False, **fired.record())
    journal.refused(fired, Refusal("cool-down", "it is", passing=True, ends_at=9.0), revision=2, verdict="UNKNOWN")
    journal.watched(fired, "it would", comparison=compared)
    journal.decided(fired, "roll back", "it goes back", final=True, comparison=compared, keeper="")
    journal.proposed(fired, "kubectl ...", remedy="restart", command="kubectl ...", obstacle="")
    journal.started(intent)
    stage = Stage(verdict=None, message="", traffic_off=True, terminating=1)
    journal.traffic_off(intent, stage)
    journal.proven(intent, Proof(verdict=Verdict.PASS, message="", revision=1, digests=(), took_s=1.0))
    journal.symptom(intent, Symptom(verdict=Verdict.PASS, message="", value=0.0, took_s=1.0))
    journal.escalated(fired.name, fired.key, "paged", delivered=True, tell="on-call", why="it failed")
    journal.remedy_started(intent, "kubectl ...")
    journal.remedy_proven(intent, Verdict.PASS, "")
    audit.close()
    return [json.loads(line) for line in audit.path.read_text().splitlines()]


def test_every_field_of_a_record_is_described(written):
    """By its name, in the section about the audit: its own, its data's, and those of a comparison."""
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", AUDIT))))
    fields = {
        key for record in written for key in (*record, *record["data"], *(record["data"].get("comparison") or {}))
    }
    assert fields - named == set()
    assert {record["data"]["decision"] for record in written if record["kind"] == "decided"} <= set(
        re.findall(r"`([^`]*)`", AUDIT)
    )


def test_every_line_on_disk_says_its_schema(written, tmp_path, monkeypatch):
    """Also the first one of a file that follows a full one; the next run reads them all."""
    assert {record["schema"] for record in written} == {"muster/audit/v1"}
    monkeypatch.setattr(audits, "TURNED_BYTES", 1)
    audit = Audit(tmp_path / "other.jsonl")
    audit.append(Kind.DECIDED, alert="Down", message="no", decision="refuse")
    (totals,) = map(json.loads, audit.path.read_text().splitlines())
    assert totals["schema"] == "muster/audit/v1"
    again = Audit(tmp_path / "other.jsonl")
    assert (again.counts(), again.unreadable) == (audit.counts(), 0)
    for one in (audit, again):
        one.close()
