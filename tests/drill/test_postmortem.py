"""The draft of a postmortem: what the evidence tells, and not a word more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from muster.chaos import outputs
from muster.drill import evidence as evidence_of
from muster.drill.followup import items
from muster.drill.postmortem import draft
from muster.drill.recorded import Evidence
from muster.judge.objectives import parse_objectives
from muster.judge.timeline import judge
from muster.system import load_system
from muster.timeline import Clock, Event, Kind

GOLDEN = Path(__file__).parent / "golden"
ALERT = "X0TTA6BL4ErrorRatioRollback"
FIELDS = (
    "Incident ID", "Severity", "Start time", "Detection method", "Affected services", "Impact: users",
    "Impact: revenue", "Impact: reputation", "Root cause", "Resolution", "Resolution time",
)  # fmt: skip
PROMISED = {
    "alert": ALERT,
    "page": "on-call",
    "action": "rollback",
    "rollback_within": "20s",
    "recovered_within": "30s",
}
SAID = {
    Kind.FAULT_INJECTED: "released deployment/x0tta6bl4-staging with FAULT_ERROR_RATIO=0.15",
    Kind.FAULT_CONFIRMED: "every ready pod runs the bad release",
    Kind.DECIDED: "roll back: revision 2 goes back to revision 1",
    Kind.ROLLBACK_STARTED: "revision 2 -> revision 1",
    Kind.TRAFFIC_OFF: "no serving pod of revision 2 is left",
    Kind.ROLLBACK_PROVEN: "revision 3 (was 1) serves on all 3 replicas",
    Kind.SYMPTOM_GONE: "error_ratio is 0.1%, not above 10%",
    Kind.RECOVERED: "90 checks held",
}
NOTES = ("prometheus", "inbox", "responder", "kubernetes", "load")


@pytest.fixture
def make(make_story):
    """``make(drop=..., promised=..., clocks=..., warnings=...)`` -> Evidence of the usual story, judged."""

    def build(*, drop=(), promised=PROMISED, clocks=None, warnings=(), traffic=True, users=None):
        story = make_story(drop=drop, traffic=traffic)
        injected = next((event.at for event in story.events if event.kind is Kind.FAULT_INJECTED), float("inf"))
        ends = story.events[-1].at + 1.0 if story.events else 1_000_000.0
        read = {"reads": 9, "error": "", "last_good_at": ends}
        notes = [Event(at=ends, kind=Kind.NOTE, source=name, message=f"{name}: read", data=read) for name in NOTES]
        steady = Event(at=ends, kind=Kind.STEADY, source="checks", message="90 checks held", data={"verdict": "PASS"})
        events = (replace(event, message=SAID.get(event.kind, "")) for event in story.events)
        if "load" in promised:  # two full seconds of users after the proof
            events = (replace(one, at=one.at + 1.5 * (one.kind is Kind.RECOVERED)) for one in events)
        if users:
            events = (
                replace(one, data=one.data | users) if one.kind is Kind.TRAFFIC and one.at >= injected else one
                for one in events
            )
        listened = {"listen_s": dict.fromkeys(promised.get("must_not", ()), 5.0)}
        listened["blind_s"] = dict.fromkeys(promised.get("blind", ()), (0.5, 2.0))
        begun = Event(at=ends - 60.0, kind=Kind.DRILL_STARTED, source="muster", data=listened)
        first = (begun,) if any(listened.values()) else ()
        timeline = replace(story, events=(*first, *events, steady, *notes), clocks=clocks or {})
        objectives = parse_objectives({"name": "muster", **promised}, where="test")
        judgement = judge(timeline, objectives, window_s=5.0, predicted_s=(5.0, 6.75))
        body = outputs.document(timeline, objectives, judgement, title="A bad release is rolled back")
        return Evidence(timeline=timeline, body=body, system=load_system("x0tta6bl4"), warnings=warnings)

    return build


def field(text, name):
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return row.split("|")[2].strip()


ROLLBACK = (
    Kind.WEBHOOK_RECEIVED, Kind.DECIDED, Kind.ROLLBACK_STARTED, Kind.TRAFFIC_OFF, Kind.ROLLBACK_PROVEN,
    Kind.SYMPTOM_GONE,
)  # fmt: skip
CASES = {
    "rolled-back": {},
    "no-webhook": {"drop": (*ROLLBACK, Kind.RECOVERED)},
    "no-alert": {"drop": (*ROLLBACK, Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.PAGE_RECEIVED, Kind.RECOVERED)},
    "nothing-injected": {"drop": tuple(set(Kind) - {Kind.DRILL_STARTED}), "traffic": False},
    "must-not": {
        "drop": (*ROLLBACK, Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.PAGE_RECEIVED),
        "promised": {"must_not": ["page", "rollback"], "recovered_within": "20s"},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_the_draft_is_the_one_that_was_read_and_approved(make, name):
    """One recorded story for each way in which a drill ends, against the text that a person has read."""
    assert draft(make(**CASES[name])) == (GOLDEN / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_every_field_of_the_runbooks_template_is_there_and_none_is_empty(make, name):
    """What is not known says so and why: an empty field would pass for nothing to tell."""
    text = draft(make(**CASES[name]))
    for label in FIELDS:
        said = field(text, label)
        assert said
        assert not said.startswith("not known") or len(said.removeprefix("not known: ")) > 10
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Timeline", "## Lessons learned", "## Action items", "## After the incident",
    ]  # fmt: skip


def test_what_no_source_tells_is_never_claimed(make):
    """Without users nothing is said of their errors; money and reputation are for people to fill in."""
    text = draft(make(traffic=False))
    assert field(text, "Impact: users").startswith("not known: ")
    assert field(text, "Impact: revenue").startswith("not known: ")


def test_each_missed_promise_is_an_item_with_its_owner(make):
    """The broken link is named once, with who owns its alert; what merely followed from it is no work of its own."""
    evidence = make(**CASES["no-webhook"])
    found = items(evidence.body, evidence.system)
    assert found[0].what == f"Make Alertmanager's webhook for {ALERT} reach the responder"
    assert {item.owner for item in found} == {evidence.system.owner_of(ALERT)}
    assert not any("not reached" in item.why for item in found)


def test_blind_alerts_and_warnings_are_items_too(make):
    """An alert that cannot see the fault, and what smoke warned of before anything was broken."""
    promised = {"blind": [ALERT], "recovered_within": "20s"}
    warning = {"check": "pods.limits", "message": "the limit is low", "alert": "", "verdict": "WARN"}
    evidence = make(drop=CASES["must-not"]["drop"], promised=promised, warnings=[warning])
    blind, warned = items(evidence.body, evidence.system, evidence.warnings)
    assert blind.what == f"Decide who tells people of this fault: {ALERT} cannot"
    assert (warned.why, warned.owner) == ("the limit is low", "team-lead")


def test_a_clock_that_was_put_right_is_mentioned(make):
    """Whoever compares with the pager's own screen must know."""
    text = draft(make(clocks={"inbox": Clock(skew_s=30.0, bound_s=0.01)}))
    assert "other clocks were put right: inbox by -30.00 s (give or take 0.01 s)" in text


def test_words_cannot_break_the_table(make):
    """A pipe or a line break of a message stays within its cell."""
    evidence = make()
    told = Event(at=1_000_001.0, kind=Kind.CHECK_FAILED, source="checks", message="a | b\nc", data={"check": "x"})
    timeline = replace(evidence.timeline, events=(*evidence.timeline.events, told))
    (row,) = [line for line in draft(replace(evidence, timeline=timeline)).splitlines() if "seen by the checks" in line]
    assert row.endswith(r"seen by the checks: a \| b c |")


def test_it_is_written_beside_the_timeline_with_the_baselines_warnings(make, tmp_path):
    """``experiments/<name>/postmortem.md``; what smoke warned of is read from ``baseline/summary.json``."""
    folder = outputs.write(tmp_path, make().body).parent
    assert "No smoke run was taken before" in evidence_of.write_postmortem(folder).read_text(encoding="utf-8")
    (tmp_path / "baseline").mkdir()
    finding = '{"check": "pods.limits", "message": "the limit is low", "alert": "", "verdict": "WARN"}'
    (tmp_path / "baseline" / "summary.json").write_text(f'{{"findings": [{finding}]}}')
    file = evidence_of.write_postmortem(folder)
    assert file == tmp_path / "experiments" / "bad-release" / "postmortem.md"
    assert "the limit is low" in file.read_text(encoding="utf-8")
    assert "No smoke run" not in file.read_text(encoding="utf-8")


def test_users_who_could_not_ask_are_told_of(make):
    """With users, resolved means that they are well again too; what was due and never sent is part of the impact."""
    users = {"load": {"rate": 500, "users": 50}, "user_errors_below": "50%"}
    unsent = {"dropped": 200, "held_dropped": 200, "requests": 300, "sent": 300}
    text = draft(make(promised=PROMISED | users, users={"offered": 500, **unsent}))
    assert "of 8,000 that were due 3,200 were never sent" in field(text, "Impact: users")
    served = draft(make(promised=PROMISED | users))
    assert "never sent" not in field(served, "Impact: users")
    assert "until every check held and users were well again" in field(served, "Resolution time")


def test_a_rollback_that_did_not_help_is_not_told_as_the_whole_resolution(make):
    """That it was proven is true, and so is that it did not help: whoever reads one reads both."""
    assert "; but" not in field(draft(make()), "Resolution")
    found = make(drop=(Kind.SYMPTOM_GONE,))
    assert field(draft(found), "Resolution").endswith("; but the responder never said whether the symptom is gone")
    assert "Find out what the drill could not tell: symptom" in draft(found)


SILENT = CASES["must-not"]["drop"]


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ({"requests": 500, "errors": 500}, "Critical (SEV-1), by users: "),
        ({"requests": 500, "errors": 11}, "Warning, by users: 2.20% of users' requests failed after the fault"),
        (
            {"requests": 500, "errors": 0},
            "Info, by users: 0.00% of users' requests failed after the fault, under every",
        ),
        (
            {"requests": 500, "errors": 0, "p95_ms": 620.0},
            "not known: no alert was seen firing; 0.00% of users' requests",
        ),
    ],
    ids=["nobody is served", "some fail", "well", "slow"],
)
def test_without_an_alert_severity_is_what_users_felt_on_the_ladder_of_the_facts(make, users, said):
    """And it says from what; slow users are more than nothing, and one slow second is no measure of how much."""
    told = field(draft(make(drop=SILENT, promised=CASES["must-not"]["promised"], users=users)), "Severity")
    assert told.startswith(said)


def test_what_was_hit_is_named_by_the_ledgers_target(make):
    """Words of the kind of fault alone name no pod."""
    evidence = make()
    killed = {Kind.FAULT_INJECTED: "pod kill: pods web-a, web-b", Kind.FAULT_CONFIRMED: "pod kill is in force"}
    events = (replace(event, message=killed.get(event.kind, event.message)) for event in evidence.timeline.events)
    told = draft(replace(evidence, timeline=replace(evidence.timeline, events=tuple(events))))
    assert field(told, "Affected services").endswith(": pod kill is in force: pods web-a, web-b")


def test_the_reports_description_is_of_this_experiment(make):
    """A pod kill promises no rollback; the chain of one would be another experiment's."""
    quiet = evidence_of.described({**make(**CASES["must-not"]).body, "title": "A killed pod is replaced"})
    assert quiet.startswith("A killed pod is replaced. Judged, each a step below: fault, ")
    assert "must not page" in quiet
    assert "proof" not in quiet
    assert "proof" in evidence_of.described(make().body)
