"""``timeline.json`` of a whole drill: every experiment that was selected, also one of which nothing is known.

It has the shape of one experiment's, so that a drill of one experiment and of many are read alike: every event and
objective says its experiment; ``measured`` is that of the first experiment that expects an alert, else the first's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from muster.judge.measure import Measured
from muster.verdict import Verdict, worst

SCHEMA = "muster/timeline/v1"
NOT_REACHED = "it was not reached"
Body = dict[str, Any]


class Whole:
    """A session's drill while it goes on. What was not recorded in this session is UNKNOWN in it, whatever lies there.

    Args:
        system: The system's name.
        environment: The environment's name.
        selected: The experiments that are to be run, from name to title, in their order.
    """

    def __init__(self, system: str, environment: str, selected: Mapping[str, str]) -> None:
        self._system, self._environment, self._selected = system, environment, dict(selected)
        self._recorded: dict[str, Body] = {}
        self._judged: dict[str, tuple[Verdict, str]] = {}
        self._ended = self._interrupted = ""

    def add(self, body: Body) -> None:
        """One experiment was recorded."""
        self._recorded[str(body["experiment"])] = body

    def judged(self, name: str, verdict: Verdict, message: str) -> None:
        """What the session says of one experiment, or of the drill as such: where it is the worse, it counts."""
        self._judged[name] = verdict, message

    def end(self, interrupted: str = "") -> None:
        """Nothing more is run; why not, where it was cut short."""
        self._interrupted = interrupted
        self._ended = f"it was not run: {interrupted}" if interrupted else NOT_REACHED

    def body(self) -> Body:
        """The document as things stand. At least one experiment must have been selected or recorded."""
        names = dict.fromkeys([*self._selected, *self._recorded, *self._judged])
        found = merge(self._of(name) for name in names)
        if self._interrupted:
            found["verdict"] = worst([Verdict(found["verdict"]), Verdict.UNKNOWN]).value
            found["interrupted"] = found["interrupted"] or self._interrupted
        return found

    def _of(self, name: str) -> Body:
        recorded = self._recorded.get(name)
        if recorded is None:
            verdict, why = self._judged.get(name, (Verdict.UNKNOWN, self._ended or NOT_REACHED))
            return self._without(name, verdict, why)
        verdict, why = self._judged.get(name, (Verdict.PASS, ""))
        if verdict.rank <= Verdict(recorded["verdict"]).rank:
            return recorded
        row = {"objective": "ended", "verdict": verdict.value, "message": why}
        return {**recorded, "verdict": verdict.value, "objectives": [*recorded["objectives"], row]}

    def _without(self, name: str, verdict: Verdict, why: str) -> Body:
        """An experiment without a recording."""
        return {
            "schema": SCHEMA,
            "experiment": name,
            "title": self._selected.get(name, ""),
            "system": self._system,
            "environment": self._environment,
            "verdict": verdict.value,
            "broken": "",
            "interrupted": why,
            "measured": Measured().as_dict(),
            "clock": {},
            "objectives": [{"objective": "recorded", "verdict": verdict.value, "message": why}],
            "expected": {},
            "events": [],
        }


def merge(given: Iterable[Body]) -> Body:
    """One document for the drill of these experiments, in order of time; last those that have no events."""
    bodies = sorted(given, key=lambda body: min((event["at"] for event in body["events"]), default=float("inf")))
    main = next((body for body in bodies if body["expected"].get("alert")), bodies[0])
    tagged: dict[str, list[Body]] = {"events": [], "objectives": []}
    for body in bodies:
        for key, items in tagged.items():
            items += [{"experiment": body["experiment"], **item} for item in body[key]]
    told = ("experiment", "title", "verdict", "broken", "interrupted", "measured")
    return {
        "schema": SCHEMA,
        "experiment": main["experiment"],
        "system": main["system"],
        "environment": main["environment"],
        "verdict": worst(Verdict(body["verdict"]) for body in bodies).value,
        "broken": next((body["broken"] for body in bodies if body["broken"]), ""),
        "interrupted": next((body["interrupted"] for body in bodies if body["interrupted"]), ""),
        "measured": main["measured"],
        "clock": main["clock"],
        "objectives": tagged["objectives"],
        "experiments": [{key: body[key] for key in told} for body in bodies],
        "events": sorted(tagged["events"], key=lambda event: event["at"]),
    }
