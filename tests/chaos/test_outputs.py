"""timeline.json: one experiment's, and the drill's."""

from __future__ import annotations

import json

import pytest

from muster.chaos import outputs
from muster.chaos.whole import Whole
from muster.judge.objectives import parse_objectives
from muster.judge.stopping import Stop
from muster.judge.timeline import judge
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict


def body_of(name, at, **objectives):
    events = (
        Event(at=at, kind=Kind.FAULT_INJECTED, source="test", message="broken", data={"fault": "f"}),
        Event(at=at + 1, kind=Kind.RECOVERED, source="test"),
    )
    timeline = Timeline(experiment=name, system="s", environment="e", events=events)
    promised = parse_objectives({"name": "muster", **objectives}, where=name)
    return outputs.document(timeline, promised, judge(timeline, promised), title=name.upper())


def passed(name, at):
    return {**body_of(name, at, recovered_within="5s"), "verdict": "PASS"}


def test_an_experiments_file_holds_what_the_design_promises(tmp_path):
    """schema, verdict, events, measured, objectives; and the timeline can be read back from it, equal."""
    body = body_of("one", 10.0, recovered_within="5s")
    file = outputs.write(tmp_path, body)
    read = json.loads(file.read_text())
    assert read["schema"] == "muster/timeline/v1"
    assert {"verdict", "events", "measured", "objectives", "expected"} <= read.keys()
    assert read["measured"]["recover_s"] == 1.0
    assert outputs.read(file).events[0].data == {"fault": "f"}


def test_the_drills_file_has_the_same_shape_and_the_worst_verdict(tmp_path):
    """Events of all experiments in order, each with its experiment; measured of the one that expects an alert."""
    outputs.write(tmp_path, body_of("quiet", 10.0, recovered_within="5s"))
    outputs.write(tmp_path, body_of("alerting", 5.0, alert="A", recovered_within="5s"))
    whole = json.loads((tmp_path / "timeline.json").read_text())
    assert [event["experiment"] for event in whole["events"]] == ["alerting", "alerting", "quiet", "quiet"]
    assert whole["experiment"] == "alerting"
    assert [row["experiment"] for row in whole["experiments"]] == ["alerting", "quiet"]
    assert whole["verdict"] == "UNKNOWN"


def whole_of(*names):
    return Whole("s", "e", {name: name.upper() for name in names})


def rows(whole):
    return {row["experiment"]: (row["verdict"], row["interrupted"]) for row in whole["experiments"]}


def test_what_was_selected_and_not_run_makes_the_whole_unknown(tmp_path):
    """From the beginning on: a drill that is killed after its first experiment has not passed."""
    whole = whole_of("one", "two")
    outputs.write_whole(tmp_path, whole)
    read = lambda: json.loads((tmp_path / "timeline.json").read_text())  # noqa: E731
    assert rows(read()) == dict.fromkeys(["one", "two"], ("UNKNOWN", "it was not reached"))
    outputs.write(tmp_path, passed("one", 10.0), whole)
    assert (read()["verdict"], read()["experiment"]) == ("UNKNOWN", "one")
    assert rows(read()) == {"one": ("PASS", ""), "two": ("UNKNOWN", "it was not reached")}
    outputs.write(tmp_path, passed("two", 20.0), whole)
    assert (read()["verdict"], read()["interrupted"]) == ("PASS", "")


def test_an_experiment_that_could_not_begin_is_in_the_whole_with_its_reason(tmp_path):
    """A FAIL elsewhere still wins; one that a stopped drill has not come to says so."""
    whole = whole_of("one", "two", "three")
    outputs.write(tmp_path, passed("one", 10.0), whole)
    whole.judged("one", Verdict.PASS, "held")
    whole.judged("two", Verdict.UNKNOWN, "the experiment could not begin: frozen")
    whole.end("stopped: the budget")
    body = whole.body()
    assert body["verdict"] == "UNKNOWN"
    assert rows(body)["two"] == ("UNKNOWN", "the experiment could not begin: frozen")
    assert rows(body)["three"] == ("UNKNOWN", "it was not run: stopped: the budget")
    assert {"experiment": "two", "objective": "recorded"}.items() <= body["objectives"][-2].items()
    whole.judged("three", Verdict.FAIL, "it left something broken")
    assert whole.body()["verdict"] == "FAIL"


def test_the_session_s_worse_word_is_in_the_whole():
    """A heal that failed after the recording was written, and an interruption at the very end."""
    whole = whole_of("one")
    whole.add(passed("one", 10.0))
    whole.judged("one", Verdict.FAIL, "not healed")
    body = whole.body()
    assert (body["verdict"], body["objectives"][-1]["message"]) == ("FAIL", "not healed")
    whole.judged("one", Verdict.PASS, "held")
    assert whole.body()["verdict"] == "PASS"
    whole.end("interrupted by SIGTERM")
    assert (whole.body()["verdict"], whole.body()["interrupted"]) == ("UNKNOWN", "interrupted by SIGTERM")


def test_what_an_earlier_run_left_in_the_folder_is_no_part_of_this_drill(tmp_path):
    """A run folder may be used again; a plain `chaos run` knows of no session, and takes all that lies there."""
    outputs.write(tmp_path, {**passed("old", 1.0), "verdict": "FAIL"})
    outputs.write(tmp_path, passed("one", 10.0), whole_of("one"))
    whole = json.loads((tmp_path / "timeline.json").read_text())
    assert (whole["verdict"], list(rows(whole))) == ("PASS", ["one"])
    outputs.write(tmp_path, passed("two", 20.0))
    assert list(rows(json.loads((tmp_path / "timeline.json").read_text()))) == ["old", "one", "two"]


def test_an_interrupted_experiment_is_unknown_even_where_its_events_are_missing():
    """What was not waited for is not known: an alert that had no time to fire is no failure of the system."""
    seen = {"reads": 9, "error": ""}
    events = (
        Event(at=1.0, kind=Kind.FAULT_INJECTED, source="test"),
        Event(at=1.1, kind=Kind.FAULT_CONFIRMED, source="test"),
        Event(at=2.0, kind=Kind.NOTE, source="prometheus", data=seen),
    )
    timeline = Timeline(experiment="x", system="s", environment="e", events=events)
    promised = parse_objectives({"name": "muster", "alert": "A"}, where="x")
    assert outputs.document(timeline, promised, judge(timeline, promised), title="X")["verdict"] == "FAIL"
    body = outputs.document(timeline, promised, judge(timeline, promised), title="X", interrupted="by SIGTERM")
    assert (body["verdict"], body["interrupted"]) == ("UNKNOWN", "by SIGTERM")


STOPS = [Stop(verdict=Verdict.UNKNOWN, reason="muster-stop"), Stop(verdict=Verdict.FAIL, reason="a budget"), None]
PAGED = Event(at=3.0, kind=Kind.PAGE_RECEIVED, source="inbox", data={"contact": "on-call", "alert": "A"})
LEFT = Event(at=3.0, kind=Kind.NOTE, source="muster", message="not healed: no answer", data={"fault": "f"})
FIRED = Event(at=3.0, kind=Kind.ALERT_FIRING, source="prometheus", data={"alert": "B", "labels": {"tell": ""}})


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("fact", [PAGED, LEFT, FIRED, None], ids=["paged", "left", "fired", "nothing"])
def test_a_proven_failure_stays_one_whatever_ended_the_experiment(fact, stop):
    """Somebody was paged, or a fault is left: no more time would have changed that. What is missing is not known."""
    events = [Event(at=1.0, kind=Kind.FAULT_INJECTED, source="test", data={"fault": "f"}), *filter(None, [fact])]
    if fact is not LEFT:
        events.append(Event(at=4.0, kind=Kind.HEALED, source="test", data={"fault": "f"}))
    timeline = Timeline(experiment="x", system="s", environment="e", events=tuple(events))
    promised = parse_objectives({"name": "muster", "must_not": ["page"], "blind": ["B"]}, where="x")
    judged = judge(timeline, promised)
    body = outputs.document(timeline, promised, judged, title="X", interrupted="stopped", stop=stop)
    otherwise = stop.verdict if stop else Verdict.UNKNOWN
    assert body["verdict"] == (Verdict.FAIL if fact else otherwise)
    said = judged.sentence_of("stopped")
    assert said == (f"stopped; {judged.proven.message}" if fact else "stopped")


def test_a_plain_chaos_run_gets_a_folder_of_its_own(monkeypatch, tmp_path):
    """MUSTER_RUN is used where it is given; otherwise a new folder below reports/."""
    monkeypatch.delenv("MUSTER_RUN", raising=False)
    assert outputs.run_folder("s", "e").parent.name == "reports"
    monkeypatch.setenv("MUSTER_RUN", str(tmp_path))
    assert outputs.run_folder("s", "e") == tmp_path
