"""When the watching itself is taken away, a drill passes by saying what it does not know and which link is missing."""

import pytest

from muster.errors import UsageError
from muster.judge.objectives import parse_objectives
from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

CHECK = "down.the_service_is_not_down"
ALERT = "X0TTA6BL4ErrorRatioRollback"
KNEW = {"verdict": "PASS", "unknown": [], "asked": [CHECK]}
DID_NOT = {"verdict": "UNKNOWN", "unknown": [CHECK, "errors.few_requests_fail"], "asked": [CHECK]}
LOOK = (3.0, Kind.STEADY, DID_NOT)
BACK = ((12.0, Kind.STEADY, {"verdict": "PASS", "judged": 30, "unknown": []}),)
SILENT = {"reads": 9, "error": "", "failures": 12, "longest_gap_s": 7.25, "receivers": {}, "failed": {"pagerduty": -3}}
NO_PAGE = (Kind.PAGE_RECEIVED, Kind.WEBHOOK_RECEIVED, Kind.DECIDED, Kind.ROLLBACK_STARTED, Kind.ROLLBACK_PROVEN)


def _outcome(timeline, name, **promises):
    objectives = parse_objectives({"name": "muster", **promises}, where="test")
    (found,) = [outcome for outcome in judge(timeline, objectives).outcomes if outcome.objective == name]
    return found


@pytest.mark.parametrize(
    ("looks", "verdict", "words"),
    [
        ([LOOK], Verdict.PASS, "in 1 of 1 looks"),
        ([LOOK, (4.0, Kind.STEADY, KNEW)], Verdict.FAIL, "in 1 of 2 looks"),
        ([LOOK, (4.0, Kind.STEADY, {**KNEW, "asked": []})], Verdict.PASS, "in 1 of 1 looks"),
        ([(4.0, Kind.STEADY, {**DID_NOT, "asked": []})], Verdict.UNKNOWN, "was not asked"),
        ([], Verdict.UNKNOWN, "was not asked"),
        ([(0.5, *LOOK[1:])], Verdict.UNKNOWN, "was not asked"),
    ],
    ids=["did not know", "knew once", "was left out once", "was left out", "never looked", "looked too early"],
)
def test_what_cannot_be_known_must_not_be_known_in_any_look(make, looks, verdict, words):
    """A check that gives a verdict without its source has lied; without a look nothing is proven."""
    found = _outcome(make(extra=[*looks, *BACK]), f"unknown {CHECK}", unknown=[CHECK])
    assert (found.verdict, words in found.message) == (verdict, True), found.message


def _broken(make, drop=NO_PAGE, words="Alertmanager itself did not answer", **notes):
    notes = {"alertmanager": SILENT} | notes
    promises = {"alert": ALERT, "page": "on-call", "breaks": {"page": words}}
    return _outcome(make(drop=drop, notes=notes, extra=BACK), "breaks page", **promises)


def test_broken_link_is_named_with_its_reason(make):
    """Nobody was paged, and the sentence says that Alertmanager was away, and for how long."""
    found = _broken(make)
    assert found.verdict is Verdict.PASS
    assert "on-call was never paged" in found.message
    assert "Alertmanager itself did not answer for up to 7.2 s" in found.message
    assert "-3" not in found.message  # counters start anew with the process


def test_chain_that_holds_is_no_broken_link(make):
    """Somebody was paged after all."""
    assert _broken(make, drop=()).verdict is Verdict.FAIL


def test_link_that_broke_for_another_reason_is_a_failure(make):
    """Alertmanager answered all the time, so it was not that."""
    found = _broken(make, alertmanager={**SILENT, "failures": 0})
    assert found.verdict is Verdict.FAIL
    assert "nothing was said of" in found.message


def test_link_whose_source_could_not_be_read_is_unknown(make):
    """No page in an inbox that nobody could read is no missing page."""
    assert _broken(make, inbox={"error": "connection refused"}).verdict is Verdict.UNKNOWN


def test_link_after_one_that_broke_earlier_is_unknown(make):
    """Without an alert there was nothing to tell anybody."""
    found = _broken(make, drop=(*NO_PAGE, Kind.ALERT_FIRING))
    assert found.verdict is Verdict.UNKNOWN
    assert "broke at the alert already" in found.message


@pytest.mark.parametrize("breaks", [{"proof": "x"}, {"page": "x", "alert": "y"}])
def test_link_that_cannot_be_expected_to_break_is_refused(breaks):
    """One sentence names the key."""
    with pytest.raises(UsageError, match="breaks: expected one of alert, page, webhook"):
        parse_objectives({"name": "muster", "alert": ALERT, "page": "on-call", "breaks": breaks}, where="test")


@pytest.mark.parametrize(("p95", "verdict"), [("5ms", Verdict.PASS), ("80ms", Verdict.FAIL)])
def test_fault_that_users_did_not_feel_is_none(make, p95, verdict):
    """The slowest second's P95 was 12 ms."""
    load = {"rate": 500, "users": 50}
    assert (
        _outcome(make(extra=BACK), "user_p95_above", user_p95_above=p95, load=load, must_not=["page"]).verdict
        is verdict
    )
    blind = make(extra=BACK, notes={"load": {"error": "Locust ended"}})
    assert (
        _outcome(blind, "user_p95_above", user_p95_above=p95, load=load, must_not=["page"]).verdict is Verdict.UNKNOWN
    )
