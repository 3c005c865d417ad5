"""Every decision is on record, also one whose responder died before it could write it down."""

from types import SimpleNamespace

import pytest

from muster.responder.audit import Audit
from muster.responder.decide import Refusal
from muster.responder.journal import Journal
from muster.responder.lock import Intent
from muster.timeline import Kind


@pytest.fixture
def journal(tmp_path):
    audit = Audit(tmp_path / "audit.jsonl")
    metadata = {"metadata": {"uid": "u", "resourceVersion": "1"}}
    api = SimpleNamespace(get=lambda *_: metadata, post=lambda *_: None)
    yield Journal(audit, api, SimpleNamespace(deployment="web", namespace="shop"))
    audit.close()


@pytest.fixture
def intent(alert, release):
    found = alert()
    return Intent(alert=found.name, key=found.key, bad=release(), target=release(1, "good"), decided_at=0.0)


def decisions(journal):
    return [(r["data"]["decision"], r["data"]["final"]) for r in journal.audit.since(0) if r["kind"] == Kind.DECIDED]


def test_a_decision_that_a_crash_kept_off_the_record_is_put_there_when_it_is_resumed(journal, intent):
    """The lock was taken with it, and the audit does not know of it: now it does, once."""
    journal.resumed(intent)
    journal.resumed(intent)
    assert decisions(journal) == [("roll back", True)]


def test_a_decision_on_record_is_not_repeated(journal, intent, alert):
    """Refusals of repetitions beside it do not count for it."""
    journal.decided(alert(), "roll back", "it goes back", final=True)
    journal.refused(alert(), Refusal("under way", "it is", passing=True))
    journal.resumed(intent)
    assert decisions(journal) == [("roll back", True), ("refuse", False)]
