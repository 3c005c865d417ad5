"""Timelines made from an experiment's own objectives: one in which each is met, and ways to spoil it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import yaml
from users_told import LIMITS, second

from muster.judge.objectives import Objectives, parse_objectives, window_s
from muster.judge.timeline import judge
from muster.system import load_system
from muster.timeline import Event, Kind, Timeline

T0 = 1_000_000.0
PENDS_S, FIRES_S = 1.0, 6.0  # how long a blind alert may take
TELLS_S = 8.0  # how long the one alert takes that might do what must not follow
SILENT = {
    "slo": "error_ratio", "bound": 0.1, "below": False, "unit": "ratio",
    "window_s": 1.0, "told_s": TELLS_S, "notified_s": TELLS_S, "adds_up": True,
}  # fmt: skip
SOURCE = {
    Kind.ALERT_PENDING: "prometheus",
    Kind.ALERT_FIRING: "prometheus",
    Kind.PAGE_RECEIVED: "inbox",
    Kind.WEBHOOK_RECEIVED: "responder",
    Kind.DECIDED: "responder",
    Kind.ROLLBACK_STARTED: "responder",
    Kind.ROLLBACK_PROVEN: "responder",
    Kind.SYMPTOM_GONE: "responder",
    Kind.ESCALATED: "responder",
    Kind.CONTAINER_ENDED: "kubernetes",
    Kind.TRAFFIC: "load",
    Kind.STEADY: "checks",
    Kind.CHECK_FAILED: "checks",
    Kind.RECOVERED: "checks",
}
WATCHED = ("prometheus", "inbox", "responder", "kubernetes", "load", "alertmanager")


@dataclass(frozen=True)
class Story:
    """Events at seconds after the fault; every change is a new story."""

    events: tuple[Event, ...] = field(default_factory=tuple)

    def add(self, at: float, kind: Kind, message: str = "", source: str = "", **data) -> Story:
        event = Event(at=T0 + at, kind=kind, source=source or SOURCE.get(kind, "muster"), message=message, data=data)
        return Story((*self.events, event))

    def drop(self, *kinds: Kind, **data) -> Story:
        """Without the events of these kinds that have this data."""
        return Story(
            tuple(e for e in self.events if e.kind not in kinds or any(e.data.get(key) != data[key] for key in data))
        )

    def lose(self, source: str) -> Story:
        """As if this source had never been read."""
        return Story(tuple(event for event in self.events if event.source != source))

    def change(self, kind: Kind, change: Callable[[Event], Event]) -> Story:
        return Story(tuple(change(event) if event.kind is kind else event for event in self.events))

    def delay(self, kind: Kind, seconds: float) -> Story:
        """This event, and all that came after it, so much later."""
        first = min(event.at for event in self.events if event.kind is kind and event.at >= T0)
        return Story(tuple(replace(e, at=e.at + seconds) if e.at >= first else e for e in self.events))

    def fill(self, kind: Kind) -> Story:
        """Where a delay tore this kind, which is told every second, apart: told meanwhile as well."""
        told = sorted((event for event in self.events if event.kind is kind), key=lambda event: event.at)
        missing = (
            replace(one, at=one.at + step)
            for one, other in pairwise(told)
            for step in range(1, round(other.at - one.at))
        )
        return Story((*self.events, *missing))

    def timeline(self) -> Timeline:
        ordered = tuple(sorted(self.events, key=lambda event: event.at))
        return Timeline(experiment="generated", system="x0tta6bl4", environment="lab", events=ordered)


def fulfilled(promised: Objectives, *, window_s: float, predicted_s: tuple[float, float], outlast_s: float) -> Story:
    """The story in which everything happens that was promised, in time, and nothing else."""
    told = 1.0 + sum(predicted_s) / 2  # the fault is in force, and to be seen, at second 1
    told_first = {"outlast_s": outlast_s, "listen_s": {"page": 9.0, "rollback": 8.0}} | LIMITS
    told_first |= {"may_act": {what: {"Slowest": SILENT} for what in promised.must_not}, "evaluation_s": 0.25}
    told_first |= {"over_s": {"recovered_within": 13.5, "finds_within": 8.5, "rollback_within": 5.0}}
    told_first["blind_s"] = dict.fromkeys(promised.blind, (PENDS_S, FIRES_S))
    story = Story().add(-1.0, Kind.DRILL_STARTED, **told_first)
    story = story.add(0.0, Kind.FAULT_INJECTED).add(1.0, Kind.FAULT_CONFIRMED)
    story = _looks(story, promised)
    if promised.alert:
        story = story.add(max(1.1, told - 0.05 - window_s), Kind.ALERT_PENDING, alert=promised.alert)
        story = story.add(told - 0.05, Kind.ALERT_FIRING, alert=promised.alert)
    for contact in () if "page" in promised.breaks else promised.pages:
        story = story.add(told, Kind.PAGE_RECEIVED, alert=promised.alert, contact=contact)
    if promised.killed:
        story = story.add(told + 0.2, Kind.CONTAINER_ENDED, f"it ended {promised.killed}", reason=promised.killed)
    if promised.action == "rollback":
        story = _rolled_back(story, promised, told)
    else:
        story = story.add(told + 0.5, Kind.ALERT_RESOLVED, alert=promised.alert)
    over = told + 1.0 + outlast_s
    if promised.action == "by-hand":
        story = story.add(over, Kind.HEALED, "it runs its good release again")
    over = over if promised.action == "by-hand" else told + 1.0
    well = over + 3.0  # two full seconds of users
    story = story.add(well, Kind.RECOVERED).add(well + 0.2, Kind.STEADY, verdict="PASS", judged=34, unknown=[])
    return _ended(story, promised, max(well + 1.0, 11.0))


def _looks(story: Story, promised: Objectives) -> Story:
    """What the checks see while the fault is in force."""
    for check, words in promised.finds.items():
        story = story.add(1.5, Kind.CHECK_FAILED, f"{check}: {words}", check=check)
    gone = list(promised.unknown)
    return story.add(
        1.5, Kind.STEADY, "not steady", verdict="FAIL", judged=34, unknown=gone, asked=[*gone, *promised.finds]
    )


def _rolled_back(story: Story, promised: Objectives, told: float) -> Story:
    story = story.add(told, Kind.WEBHOOK_RECEIVED, alert=promised.alert)
    story = story.add(told + 0.05, Kind.DECIDED, alert=promised.alert, decision="roll back")
    story = story.add(told + 0.1, Kind.ROLLBACK_STARTED).add(told + 0.5, Kind.TRAFFIC_OFF)
    story = story.add(told + 0.8, Kind.ROLLBACK_PROVEN, verdict="PASS").add(
        told + 0.9, Kind.ALERT_RESOLVED, alert=promised.alert
    )
    return story.add(told + 0.95, Kind.SYMPTOM_GONE, alert=promised.alert, verdict="PASS")


def _ended(story: Story, promised: Objectives, end: float) -> Story:
    p95_ms = (promised.user_p95_above_s or 0.01) * 1100
    rate = promised.load.rate if promised.load else 1000
    for at in range(-5, math.ceil(end)):
        story = story.add(at, Kind.TRAFFIC, **second(rate, p95_ms=p95_ms))
    for source in WATCHED:
        story = story.add(end, Kind.NOTE, source=source, **_note(source, promised, end))
    well = [(T0 + step / 4, 0.01) for step in range(math.ceil(4 * end))]
    story = story.add(end, Kind.NOTE, source="indicators", indicators={"error_ratio": well})
    return story.add(end, Kind.DRILL_ENDED)


def _note(source: str, promised: Objectives, end: float) -> dict:
    note = {"reads": 50, "error": "", "refused": False, "failures": 0, "last_good_at": T0 + end}
    if source == "alertmanager" and "page" in promised.breaks:
        note |= {"failures": 9, "longest_gap_s": 12.0, "receivers": {}, "failed": {}}
    return note


def names(outcomes: Iterable) -> list[str]:
    """The objectives that were judged."""
    return [outcome.objective for outcome in outcomes]


SYSTEM = load_system("x0tta6bl4")
OUTLAST_S = 9.0


class Case:
    """One experiment: its promises, a story in which they are kept, and the judge."""

    def __init__(self, file):
        (extension,) = [e for e in yaml.safe_load(file.read_text())["extensions"] if e["name"] == "muster"]
        self.promised = parse_objectives(extension, where=file.name, system=SYSTEM)
        self.window_s = window_s(self.promised, SYSTEM, 60.0)
        self.predicted_s = (self.window_s, self.window_s + 2.0) if self.promised.alert else None
        self.kept = fulfilled(
            self.promised,
            window_s=self.window_s,
            predicted_s=self.predicted_s or (2.0, 4.0),
            outlast_s=OUTLAST_S,
        )

    def judge(self, story):
        return judge(story.timeline(), self.promised, window_s=self.window_s, predicted_s=self.predicted_s)


def outcome_of(judgement, name):
    (found,) = [outcome for outcome in judgement.outcomes if outcome.objective == name]
    return found


def shortened(story, case, seconds):
    """The fault over so many seconds after it was to be seen: undone, rolled back, or killed."""
    over = T0 + (0.0 if case.promised.killed else 1.0) + seconds
    ends = {Kind.HEALED, Kind.ROLLBACK_STARTED, Kind.CONTAINER_ENDED}
    events = (replace(e, at=min(e.at, over)) if e.kind in ends else e for e in story.events)
    return Story(tuple(events))
