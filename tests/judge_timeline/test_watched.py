"""A drill where others roll back: what Muster measures is judged, what nobody proved to it is no pass."""

from muster.judge.chain import chain
from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

ALERT = "X0TTA6BL4ErrorRatioRollback"
DONE = (Kind.DECIDED, Kind.ROLLBACK_STARTED, Kind.TRAFFIC_OFF, Kind.ROLLBACK_PROVEN, Kind.SYMPTOM_GONE)


def test_detection_page_and_decision_hold_and_what_others_did_is_unknown(make, rollback):
    """Not FAIL, for the responder was told to do nothing; not PASS, for nobody proved anything."""
    decided = (6.6, Kind.DECIDED, {"alert": ALERT, "decision": "would roll back", "final": True})
    links = {link.name: link for link in chain(make(drop=DONE, extra=[decided]), rollback)}
    held = {name for name, link in links.items() if link.event}
    assert {"fault", "alert", "page", "webhook", "decision", "recovery"} <= held
    for name in ("rollback", "proof", "symptom"):
        assert links[name].verdict is Verdict.UNKNOWN
        assert "rollback.strategy none" in links[name].why
    said = {one.objective: one.message for one in judge(make(drop=DONE, extra=[decided]), rollback).outcomes}
    assert "left it to others" in said["decision"]
