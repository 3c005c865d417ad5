"""What is to be done after a drill: one item for each promise that was missed, with the one who owns it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.system import System


@dataclass(frozen=True, kw_only=True)
class Item:
    """What to do, whose it is (a contact of the system), and the sentence of the evidence that asks for it."""

    what: str
    owner: str
    why: str


_MEND = {  # the link of the chain, or the objective -> what to mend
    "fault": "Make the drill's fault take hold, and run it again",
    "alert": "Make {alert} see this fault",
    "page": "Route {alert} to the people it names",
    "kill": "Find out why the container did not end as the runbook says",
    "finding": "Make the check of `make smoke` see this fault",
    "undo": "Make the runbook's undo by hand work",
    "webhook": "Make Alertmanager's webhook for {alert} reach the responder",
    "decision": "Find out why the responder did not decide to roll back",
    "rollback": "Find out why the rollback never started",
    "proof": "Make the rollback change what is served",
    "symptom": "Find out why the rollback did not help",
    "recovery": "Find out why the steady state did not come back",
    "detect_within": "Detect it sooner",
    "webhook_within": "Detect it sooner",
    "finds_within": "Make the checks see it sooner",
    "page_within": "Page sooner",
    "decide_within": "Decide sooner",
    "traffic_off_within": "Take users off the bad release sooner",
    "rollback_within": "Roll back sooner",
    "recovered_within": "Recover sooner",
    "predicted": "Find what moves {alert} out of its windows",
    "load": "Let users come as ordered",
    "user_errors_below": "Let fewer requests of users fail",
    "user_p95_above": "Make the fault one that users feel, or drop the claim",
    "hypothesis": "Find what kept the steady state from coming back",
    "must_not": "Keep what must not follow from following",
    "blind": "Put the experiment right: the alert sees this fault after all",
    "breaks": "Make the drill break the link that it means to break, and say why",
    "unknown": "Let no check claim to know what it cannot know",
}
_FOLLOWS = ("not reached:",)  # said of what could not happen any more once the chain was broken


def items(body: Mapping[str, Any], system: System, warnings: Sequence[Mapping[str, Any]] = ()) -> list[Item]:
    """The items of one experiment's ``timeline.json``, and of what smoke warned of before it; each once."""
    found = [*_missed(body, system), *_blind(body, system), *_warned(warnings, system)]
    return list(dict.fromkeys(found))


def _missed(body: Mapping[str, Any], system: System) -> Iterable[Item]:
    alert = str(body["expected"].get("alert", ""))
    missed = [row for row in body["objectives"] if row["verdict"] in ("FAIL", "UNKNOWN")]
    untested = [row for row in missed if row["objective"] == "fault"]
    for row in untested or missed:  # without a fault, the rest only says so again
        if only_follows(row):
            continue
        name, _, of = str(row["objective"]).partition(" ")
        what = _MEND.get(name, f"Look into {row['objective']}").format(alert=alert or "the alert")
        if row["verdict"] == "UNKNOWN" and name != "fault":
            what = f"Find out what the drill could not tell: {str(row['objective']).replace('_', ' ')}"
        yield Item(what=what, owner=_owner(system, of if of in system.alerts else alert), why=str(row["message"]))


def only_follows(row: Mapping[str, Any]) -> bool:
    """Whether an objective was missed only because an earlier one was."""
    message = str(row["message"])
    return message.startswith(_FOLLOWS) or ": never seen, limit " in message


def _blind(body: Mapping[str, Any], system: System) -> Iterable[Item]:
    for row in body["objectives"]:
        name, _, alert = str(row["objective"]).partition(" ")
        if name == "blind" and row["verdict"] == "PASS":
            what = f"Decide who tells people of this fault: {alert} cannot"
            yield Item(what=what, owner=_owner(system, alert), why=str(row["message"]))


def _warned(warnings: Sequence[Mapping[str, Any]], system: System) -> Iterable[Item]:
    for finding in warnings:
        alert = str(finding.get("alert", ""))
        what = f"Heed the warning of `{finding['check']}`, which was there before the drill"
        yield Item(what=what, owner=_owner(system, alert), why=str(finding["message"]))


def _owner(system: System, alert: str) -> str:
    return system.owner_of(alert) if alert in system.alerts else system.owner or system.first_level
