"""The draft of a postmortem: the runbooks' incident report, filled from a drill's evidence and from nothing else.

The fields are those of the production runbooks' "Incident Response Template"; what to do afterwards is "POST-INCIDENT"
of the on-call runbook and of the emergency procedures. What the evidence does not tell is "not known", with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muster.drill.followup import Item, items, only_follows
from muster.drill.recorded import Evidence
from muster.drill.severity import severity
from muster.drill.words import Fresh, clause
from muster.timeline import Event, Kind

_INTRODUCTION = "it claims nothing that the evidence does not show. Whoever reviews it puts in what only people know."


def draft(evidence: Evidence) -> str:
    """The postmortem in Markdown."""
    body = evidence.body
    parts = [
        f"# Postmortem draft: {body['title']}",
        f"Written by Muster from the evidence of the drill `{body['experiment']}` ({body['verdict']}); {_INTRODUCTION}",
        _table(("Field", "Value"), _fields(evidence)),
        "## Timeline",
        _clocks(evidence),
        _table(("UTC", "after the fault", "by", "what"), _rows(evidence)),
        "## Lessons learned",
        "\n".join(f"- {lesson}" for lesson in _lessons(evidence)),
        "## Action items",
        _actions(items(body, evidence.system, evidence.warnings or ()), smoked=evidence.warnings is not None),
        "## After the incident",
        "\n".join(f"- [ ] {step}" for step in _afterwards(evidence)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _fields(evidence: Evidence) -> Iterable[tuple[str, str]]:
    injected, body = evidence.injected, evidence.body
    began = injected or evidence.timeline.first(Kind.DRILL_STARTED)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(began.at)) if began else "undated"
    yield "Incident ID", f"DRILL-{stamp}-{body['experiment']}"
    yield "Severity", severity(evidence)
    yield "Start time", _utc(injected.at, day=True) if injected else "not known: no fault was injected"
    yield "Detection method", _detection(evidence)
    yield "Affected services", _affected(evidence)
    yield "Impact: users", _users(body["measured"])
    yield "Impact: revenue", "not known: nothing that the drill reads counts money"
    yield "Impact: reputation", "not known: nothing that the drill reads tells what people thought of it"
    yield "Root cause", _cause(evidence)
    yield "Resolution", _resolution(evidence)
    yield "Resolution time", _resolution_time(evidence)


def _since(evidence: Evidence, event: Event) -> bool:
    return evidence.injected is not None and event.at >= evidence.injected.at


def _detection(evidence: Evidence) -> str:
    expected, injected = evidence.body["expected"], evidence.injected
    if injected is None:
        return "not known: no fault was injected, so there was nothing to detect"
    fired = evidence.after(Kind.ALERT_FIRING, alert=expected.get("alert")) if expected.get("alert") else None
    if fired:
        pages = [e for e in evidence.timeline.of(Kind.PAGE_RECEIVED) if e.data.get("alert") == expected["alert"]]
        told = ", ".join(dict.fromkeys(str(e.data.get("contact")) for e in pages if e.at >= injected.at))
        paged = f"; paged: {told}" if told else "; nobody was seen paged for it"
        return f"Alert: {expected['alert']}, {fired.at - injected.at:.1f} s after the fault{paged}"
    seen = evidence.after(Kind.CHECK_FAILED)
    if seen:
        return f"Monitoring: a check of `make smoke`, {seen.at - injected.at:.1f} s after the fault: {seen.message}"
    if expected.get("alert"):
        return f"not known: {evidence.said('alert') or 'the expected alert was not seen'}"
    other = evidence.after(Kind.ALERT_FIRING)
    if other:
        after_s = other.at - injected.at
        return f"Alert: {other.data.get('alert')}, {after_s:.1f} s after the fault, though none was expected"
    return "not known: no alert was expected of this fault and none was seen; the drill itself put it in"


def _affected(evidence: Evidence) -> str:
    place = f"{evidence.system.title}, in {evidence.body['environment']}"
    confirmed = evidence.after(Kind.FAULT_CONFIRMED)
    if confirmed is None:
        return f"not known: the fault was never seen in force (it was meant for {place})"
    if why := evidence.missed("fault"):
        return f"not known: {why} (it was meant for {place})"
    pods = confirmed.data.get("pods") or []
    which = f"; pods {', '.join(pods)}" if pods else ""
    return f"{place}: {_what_was_hit(evidence, confirmed)}{which}"


def _what_was_hit(evidence: Evidence, confirmed: Event) -> str:
    """What was seen, and of what: the injection's own words name the ledger's target."""
    said = confirmed.message or "the fault was in force"
    injected = "; ".join(event.message for event in evidence.timeline.of(Kind.FAULT_INJECTED) if event.message)
    kind = said.removesuffix(" is in force")
    if injected.startswith(f"{kind}: "):
        return f"{said}: {injected.removeprefix(f'{kind}: ')}"
    return f"{said} ({injected})" if injected else said


def _users(measured: Mapping[str, Any]) -> str:
    if not measured.get("user_requests"):
        return "not known: no user made a request after the fault, or none was counted"
    said = f"{measured['user_errors']:,} of {measured['user_requests']:,} requests failed "
    said += f"({measured['user_error_ratio']:.2%})"
    if measured.get("user_unsent"):
        said += f"; of {measured['user_due']:,} that were due {measured['user_unsent']:,} were never sent"
    if measured.get("impact_s") is not None:
        said += f"; felt in {measured['impact_s']:.0f} seconds"
    worst = measured.get("worst_second")
    if worst and worst["errors"]:
        said += f"; the worst was {worst['after_s']:.0f} s after the fault, when {worst['errors']:.0f} "
        said += f"of {worst['requests']:.0f} failed"
    if measured.get("worst_p95_ms") is not None:
        said += f"; slowest second: P95 {measured['worst_p95_ms']:.0f} ms"
    return said


def _cause(evidence: Evidence) -> str:
    if evidence.injected is None:
        return f"not known: {evidence.said('fault') or 'no fault was injected'}"
    faults = [event.message for event in evidence.timeline.of(Kind.FAULT_INJECTED) if event.message]
    return f"The drill's own fault, put in on purpose: {'; '.join(faults) or evidence.body['title']}"


def _resolution(evidence: Evidence) -> str:
    proven = evidence.after(Kind.ROLLBACK_PROVEN, verdict="PASS")
    remedy = evidence.after(Kind.REMEDY_PROVEN, verdict="PASS")
    healed, recovered = evidence.after(Kind.HEALED), evidence.after(Kind.RECOVERED)
    if evidence.injected is None:
        return "not known: nothing was broken"
    if proven:
        doubt = evidence.missed("symptom")
        return f"Rolled back by the responder, and proven: {proven.message}" + (f"; but {doubt}" if doubt else "")
    if remedy:
        return f"The runbook's remedy, carried out by the responder: {remedy.message}"
    if evidence.body["expected"].get("action") == "by-hand" and healed:
        return f"Undone by hand, as the runbook asks: {healed.message}"
    if recovered and (healed is None or recovered.at <= healed.at):
        return f"It recovered by itself: {recovered.message}"
    if healed:
        return f"Not by the system: Muster undid its own fault at the end of the drill: {healed.message}"
    return "not known: nothing was seen that ended it"


def _resolution_time(evidence: Evidence) -> str:
    measured = evidence.body["measured"]
    if measured.get("total_s") is not None:
        word = {"rollback": "webhook", "by-hand": "undo by hand"}.get(evidence.body["expected"].get("action", "none"))
        more = (
            f" ({measured['recover_s']:.1f} s after the {word})"
            if word and measured.get("recover_s") is not None
            else ""
        )
        users = " and users were well" if evidence.body["expected"].get("load") else ""
        return f"{measured['total_s']:.1f} s from the fault until every check held{users} again{more}"
    why = measured.get("unmeasured", {}).get("total_s") or evidence.said("recovery")
    return f"not known: {why or 'nobody waited until the steady state was seen again'}"


def _clocks(evidence: Evidence) -> str:
    moved = [
        f"{name} by {-clock.skew_s:+.2f} s (give or take {clock.bound_s:.2f} s)"
        for name, clock in sorted(evidence.timeline.clocks.items())
        if abs(clock.skew_s) > clock.bound_s and abs(clock.skew_s) >= 0.01
    ]
    return f"Times are the drill's; other clocks were put right: {', '.join(moved)}." if moved else ""


def _rows(evidence: Evidence) -> Iterable[tuple[str, ...]]:
    zero = evidence.injected.at if evidence.injected else None
    fresh = Fresh()
    for event in evidence.timeline.events:
        what = clause(event)
        if not what or not fresh(event):
            continue
        yield _utc(event.at), f"{event.at - zero:+.2f} s" if zero is not None else "", event.source, what


def _lessons(evidence: Evidence) -> Iterable[str]:
    """What held, what did not and what is not known, each sentence once; what merely followed is left out."""
    body, told = evidence.body, set[str]()
    if body.get("interrupted"):
        yield f"The drill did not run to its end ({body['interrupted']}), so what follows is incomplete."
    if body.get("broken"):
        told.add(evidence.said(body["broken"]))
        yield f"The chain broke at the {body['broken']}: {evidence.said(body['broken'])}."
    for verdict, said in (("FAIL", "Did not hold"), ("UNKNOWN", "Not known"), ("PASS", "Held")):
        for row in body["objectives"]:
            if row["verdict"] == verdict and row["message"] not in told and not only_follows(row):
                told.add(row["message"])
                yield f"{said}: {row['message']}."


def _actions(found: Sequence[Item], *, smoked: bool) -> str:
    unknown = "" if smoked else "No smoke run was taken before, so what it would have warned of is not known."
    if not found:
        return "None: every promise was kept, and smoke warned of nothing before." if smoked else unknown
    rows = ((str(number), item.what, item.owner, item.why) for number, item in enumerate(found, 1))
    return "\n\n".join(filter(None, (_table(("#", "what", "owner", "because"), rows), unknown)))


def _afterwards(evidence: Evidence) -> Iterable[str]:
    name = evidence.body["expected"].get("alert", "")
    alert = evidence.system.alerts.get(name)
    yield "Filed in the incident log"
    yield "Root cause analysed: for a drill, why each missed promise was missed"
    yield (
        f"Runbook section `{alert.runbook}` put right where it misled" if alert else "Runbook put right where it misled"
    )
    yield "Talked over with the team"
    yield "Each action item has a date, and the drill is repeated when they are done"


def _utc(at: float, *, day: bool = False) -> str:
    text = time.strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S", time.gmtime(at))
    return f"{text}.{int(at % 1 * 1000):03d}{' UTC' if day else ''}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
