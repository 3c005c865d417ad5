"""The judge of drills, and that every objective can fail."""

from __future__ import annotations

import pytest

from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

ALERT = "X0TTA6BL4ErrorRatioRollback"


def test_a_drill_that_kept_every_promise_passes(make, rollback):
    """With every event in time, every outcome is PASS, and so is the whole."""
    judgement = judge(make(), rollback, window_s=5.0)
    assert judgement.verdict is Verdict.PASS
    assert judgement.broken == ""
    assert {outcome.verdict for outcome in judgement.outcomes} == {Verdict.PASS}


def test_durations_count_from_where_the_promise_says(make, rollback):
    """Detection counts from the confirmed fault, overhead leaves the window out, the rest counts from the webhook."""
    measured = judge(make(), rollback, window_s=5.0, predicted_s=(5.2, 6.4)).measured
    assert measured.detect_s == pytest.approx(5.4)
    assert measured.detect_from_injection_s == pytest.approx(6.4)
    assert measured.page_s == pytest.approx(0.1)
    assert measured.overhead_s == pytest.approx(0.5)
    assert measured.decide_s == pytest.approx(0.1)
    assert measured.traffic_off_s == pytest.approx(0.9)
    assert measured.rollback_s == pytest.approx(1.5)
    assert measured.recover_s == pytest.approx(3.5)
    assert measured.total_s == pytest.approx(10.0)
    assert measured.predicted_s == (5.2, 6.4)
    assert measured.as_dict()["predicted_s"] == [5.2, 6.4]
    assert (measured.user_requests, measured.user_errors) == (10_000, 40)


BROKEN = [
    ((Kind.ALERT_FIRING,), "alert", "pending"),
    ((Kind.ALERT_FIRING, Kind.ALERT_PENDING), "alert", "never became pending"),
    ((Kind.PAGE_RECEIVED,), "page", "on-call was never paged"),
    ((Kind.WEBHOOK_RECEIVED,), "webhook", "never received a webhook"),
    ((Kind.DECIDED,), "decision", "decided nothing"),
    ((Kind.ROLLBACK_STARTED,), "rollback", "never started"),
    ((Kind.ROLLBACK_PROVEN,), "proof", "never proven"),
]


@pytest.mark.parametrize(("drop", "link", "words"), BROKEN, ids=[f"{row[1]}: {row[2]}" for row in BROKEN])
def test_each_link_of_the_chain_can_fail_and_is_named(make, rollback, outcome_of, drop, link, words):
    """Without its event, the link FAILs by name, and says what is known about it."""
    judgement = judge(make(drop=drop), rollback, window_s=5.0)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.broken == link
    assert outcome_of(judgement, link).verdict is Verdict.FAIL
    assert words in outcome_of(judgement, link).message


def test_a_rollback_over_another_alert_proves_nothing_of_this_one(make, rollback, outcome_of):
    """Two triggers may fire at once; the drill is about the one that it names."""
    drop = (Kind.DECIDED,)
    other = (6.6, Kind.DECIDED, {"alert": "Other", "decision": "roll back"})
    judgement = judge(make(drop=drop, extra=(other,)), rollback, window_s=5.0)
    assert judgement.broken == "decision"
    assert f"rolled back over Other: of {ALERT} nothing" in outcome_of(judgement, "decision").message


def test_only_the_first_missing_link_explains_the_later_ones(make, rollback, outcome_of):
    """When nothing follows the page, the rollback's sentence points back to the webhook."""
    after_page = (Kind.WEBHOOK_RECEIVED, Kind.DECIDED, Kind.ROLLBACK_STARTED, Kind.TRAFFIC_OFF, Kind.ROLLBACK_PROVEN)
    judgement = judge(make(drop=(*after_page, Kind.RECOVERED)), rollback, window_s=5.0)
    assert judgement.broken == "webhook"
    assert "the chain broke at the webhook" in outcome_of(judgement, "proof").message


def test_a_stopped_responder_is_a_failure_that_says_what_refuses(make, rollback, outcome_of):
    """Connection refused is a fact about the responder, with Alertmanager's own count of failures as evidence."""
    after_page = (Kind.WEBHOOK_RECEIVED, Kind.DECIDED, Kind.ROLLBACK_STARTED, Kind.TRAFFIC_OFF, Kind.ROLLBACK_PROVEN)
    notes = {
        "responder": {"reads": 0, "error": "connection refused", "refused": True},
        "alertmanager": {"receivers": {ALERT: ["on-call", "responder"]}, "failed": {"webhook": 7}},
    }
    judgement = judge(make(drop=(*after_page, Kind.RECOVERED), notes=notes), rollback, window_s=5.0)
    webhook = outcome_of(judgement, "webhook")
    assert judgement.verdict is Verdict.FAIL
    assert judgement.broken == "webhook"
    assert "Alertmanager could not deliver it, because nothing listens there (connection refused)" in webhook.message
    assert "7 webhook" in webhook.message
    assert judgement.sentence == webhook.message


def test_a_missing_route_is_named_by_alertmanagers_own_routing(make, rollback, outcome_of):
    """With the responder up, the webhook's absence is explained by who is routed to."""
    notes = {"alertmanager": {"receivers": {ALERT: ["on-call"]}, "failed": {}}}
    judgement = judge(make(drop=(Kind.WEBHOOK_RECEIVED,), notes=notes), rollback, window_s=5.0)
    assert "Alertmanager routes it to on-call" in outcome_of(judgement, "webhook").message


def test_a_refusal_is_not_a_rollback(make, rollback, outcome_of):
    """A decision to refuse breaks the chain at the decision and repeats the responder's reason."""
    refusal = (6.6, Kind.DECIDED, {"alert": ALERT, "decision": "refuse", "reason": "no previous revision"})
    judgement = judge(make(drop=(Kind.DECIDED, Kind.ROLLBACK_STARTED), extra=[refusal]), rollback, window_s=5.0)
    assert judgement.broken == "decision"
    assert "no previous revision" in outcome_of(judgement, "decision").message


def test_a_rollback_that_changed_nothing_is_a_failed_proof(make, rollback, outcome_of):
    """ROLLBACK_PROVEN with verdict FAIL breaks the chain at the proof."""
    failed = (8.0, Kind.ROLLBACK_PROVEN, {"verdict": "FAIL", "message": "the same digest still serves"})
    judgement = judge(make(drop=(Kind.ROLLBACK_PROVEN,), extra=[failed]), rollback, window_s=5.0)
    assert judgement.broken == "proof"
    assert "the same digest still serves" in outcome_of(judgement, "proof").message


def test_recovery_by_musters_own_hand_is_no_recovery(make, rollback, outcome_of):
    """RECOVERED after HEALED proves nothing about the system."""
    healed_first = (9.5, Kind.HEALED, {"fault": "bad-release"})
    judgement = judge(make(extra=[healed_first]), rollback, window_s=5.0)
    assert judgement.broken == "recovery"
    assert "only after Muster" in outcome_of(judgement, "recovery").message


def test_recovery_that_was_never_looked_for_is_unknown(make, rollback, outcome_of):
    """Without RECOVERED and without any later look at the steady state, nothing is known."""
    unlooked = judge(make(drop=(Kind.RECOVERED, Kind.STEADY)), rollback)
    assert outcome_of(unlooked, "recovery").verdict is Verdict.UNKNOWN
    assert outcome_of(unlooked, "hypothesis").verdict is Verdict.UNKNOWN
    unsteady = (12.0, Kind.STEADY, {"verdict": "FAIL", "message": "error_ratio 15% > 10%"})
    looked = judge(make(drop=(Kind.RECOVERED,), extra=[unsteady]), rollback)
    assert outcome_of(looked, "recovery").verdict is Verdict.FAIL
    assert "error_ratio 15% > 10%" in outcome_of(looked, "recovery").message


def test_recovery_that_was_seen_too_late_says_so(make, rollback, outcome_of):
    """A last look that held, after nobody waited for it any more, is not called "not seen"."""
    late = (60.0, Kind.STEADY, {"verdict": "PASS", "message": "34 checks held"})
    outcome = outcome_of(judge(make(drop=(Kind.RECOVERED,), extra=[late]), rollback), "recovery")
    assert outcome.verdict is Verdict.FAIL
    assert "only after the drill had given up waiting" in outcome.message


LATE = ["detect", "webhook", "page", "decide", "traffic_off", "rollback", "recovered"]


@pytest.mark.parametrize("name", LATE)
def test_each_deadline_can_fail(make, rollback, outcome_of, name):
    """The same drill with a limit just under what was measured FAILs that deadline, and only that."""
    held = judge(make(), rollback, window_s=5.0)
    measured = outcome_of(held, f"{name}_within").measured
    tight = rollback.model_copy(update={f"{name}_within_s": measured - 0.01})
    judgement = judge(make(), tight, window_s=5.0)
    assert [o.objective for o in judgement.outcomes if o.verdict is not Verdict.PASS] == [f"{name}_within"]
    assert judgement.verdict is Verdict.FAIL
    assert " > " in outcome_of(judgement, f"{name}_within").message


def test_a_deadline_whose_event_never_came_fails_with_its_link(make, rollback, outcome_of):
    """No rollback at all is not within three seconds."""
    judgement = judge(make(drop=(Kind.ROLLBACK_PROVEN,)), rollback, window_s=5.0)
    assert outcome_of(judgement, "rollback_within").verdict is Verdict.FAIL


def test_users_errors_over_the_limit_fail(make, rollback, outcome_of):
    """The users' own error ratio is held against its limit."""
    judgement = judge(make(rps=(500, 150)), rollback, window_s=5.0)
    assert outcome_of(judgement, "user_errors_below").verdict is Verdict.FAIL


@pytest.mark.parametrize("kind", [Kind.PAGE_RECEIVED, Kind.ROLLBACK_STARTED])
def test_what_must_not_happen_fails_when_it_does(make, quiet, killed, outcome_of, kind):
    """A page, or a rollback, after a pod kill breaks its promise."""
    name = "must_not page" if kind is Kind.PAGE_RECEIVED else "must_not rollback"
    data = {"contact": "on-call", "alert": ALERT}
    judgement = judge(make(story=killed, rps=(500, 0), extra=[(4.0, kind, data)]), quiet)
    assert outcome_of(judgement, name).verdict is Verdict.FAIL
    assert "4.00 s after the fault" in outcome_of(judgement, name).message


def test_a_rollback_that_is_left_to_others_was_decided_on_all_the_same(make, quiet, killed, outcome_of):
    """With the strategy "none" nobody here rolls back; what others make of it is not known, and it must not follow."""
    decided = (4.0, Kind.DECIDED, {"decision": "would roll back", "alert": ALERT, "final": True})
    judgement = judge(make(story=killed, rps=(500, 0), extra=[decided]), quiet)
    assert outcome_of(judgement, "must_not rollback").verdict is Verdict.FAIL


def test_a_pod_kill_that_nobody_heard_of_passes(make, quiet, killed):
    """Healed by itself, without page or rollback, under the users' limit."""
    assert judge(make(story=killed, rps=(500, 0)), quiet).verdict is Verdict.PASS


@pytest.mark.parametrize("what", ["page", "rollback"])
def test_silence_that_was_not_listened_to_for_long_enough_is_no_proof(make, quiet, killed, outcome_of, what):
    """The slowest alert that might have acted takes its window and its ``for``; here it was listened to for 19.8 s."""
    for listen_s, expected in ((19.7, Verdict.PASS), (19.9, Verdict.UNKNOWN)):
        began = (-1.0, Kind.DRILL_STARTED, {"listen_s": {"page": 1.0, "rollback": 1.0, what: listen_s}})
        judgement = judge(make(story=(began, *killed[1:]), rps=(500, 0)), quiet)
        assert outcome_of(judgement, f"must_not {what}").verdict is expected
    judgement = judge(make(story=killed[1:], rps=(500, 0)), quiet)
    assert "was not recorded" in outcome_of(judgement, f"must_not {what}").message


def test_page_within_judges_every_contact_that_is_named(make, rollback, outcome_of):
    """The second one who must be told may be told too late, or never; the first one's page excuses neither."""
    promised = rollback.model_copy(update={"also_page": ("team-lead",)})
    lead = {"alert": ALERT, "contact": "team-lead", "channel": "chat"}
    for at, verdict in ((6.9, Verdict.PASS), (8.0, Verdict.FAIL)):
        judgement = judge(make(extra=[(at, Kind.PAGE_RECEIVED, lead)]), promised, window_s=5.0)
        assert outcome_of(judgement, "page_within team-lead").verdict is verdict
        assert outcome_of(judgement, "page_within").verdict is Verdict.PASS
    assert outcome_of(judge(make(), promised, window_s=5.0), "page_within team-lead").verdict is Verdict.FAIL


def test_a_page_before_the_fault_is_not_the_faults(make, quiet, killed):
    """What came before the injection is not held against the experiment."""
    early = (-3.0, Kind.PAGE_RECEIVED, {"contact": "on-call", "alert": ALERT})
    assert judge(make(story=killed, rps=(500, 0), extra=[early]), quiet).verdict is Verdict.PASS


def test_a_detection_that_no_window_explains_fails(make, rollback, outcome_of):
    """Fault to webhook is held against the prediction, two seconds of delivery allowed."""
    assert (
        outcome_of(judge(make(), rollback, window_s=5.0, predicted_s=(3.0, 4.0)), "predicted").verdict is Verdict.PASS
    )
    late = judge(make(), rollback, window_s=5.0, predicted_s=(2.0, 3.0))
    assert outcome_of(late, "predicted").verdict is Verdict.FAIL
    assert late.verdict is Verdict.FAIL


def test_time_that_prometheus_needs_to_discover_new_pods_is_told_apart(make, rollback, outcome_of):
    """Overhead counts from the scrape that the alert waited for; the whole time stays in webhook_s and detect_s."""
    scrapes = [(at, Kind.FAULT_VISIBLE, {"pod": str(at)}) for at in (0.2, 1.3, 3.0)]  # the last after the alert
    judgement = judge(make(extra=scrapes), rollback, window_s=5.0)
    assert judgement.measured.visible_s == pytest.approx(0.3)
    assert judgement.measured.webhook_s == pytest.approx(5.5)
    assert judgement.measured.overhead_s == pytest.approx(0.2)
    assert "0.30 s of target discovery apart" in outcome_of(judgement, "webhook_within").message


@pytest.mark.parametrize(("last_scrape", "visible_s"), [(3.0, 1.0), (1.3, 0.3)])
def test_an_alert_that_saw_a_part_of_the_bad_pods_and_began_anew_is_counted_from_there(
    make, rollback, last_scrape, visible_s
):
    """Over while a bad pod was not scraped yet: it waited anew. Over though all were seen: that is the rule's own."""
    scrapes = [(at, Kind.FAULT_VISIBLE, {"pod": str(at)}) for at in (0.2, 1.3, last_scrape)]
    again = [(2.0, Kind.ALERT_RESOLVED, {"alert": ALERT}), (2.4, Kind.ALERT_PENDING, {"alert": ALERT})]
    judgement = judge(make(extra=[*scrapes, *again]), rollback, window_s=5.0)
    assert judgement.measured.visible_s == pytest.approx(visible_s)


def test_a_steady_state_that_is_lost_again_fails(make, quiet, killed, outcome_of):
    """Recovered once is not enough: the last look counts."""
    lost = (9.0, Kind.STEADY, {"verdict": "FAIL", "message": "2 of 3 replicas ready"})
    judgement = judge(make(story=killed, rps=(500, 0), extra=[lost]), quiet)
    assert outcome_of(judgement, "hypothesis").verdict is Verdict.FAIL
    assert judgement.verdict is Verdict.FAIL


def test_warnings_of_the_checks_are_no_matter_of_the_fault(make, rollback, outcome_of):
    """The steady state held; smoke says all year round what it warns of, and a drill does not repeat it."""
    warned = (20.0, Kind.STEADY, {"verdict": "WARN", "message": "47 checks held"})
    judgement = judge(make(extra=[warned]), rollback, window_s=5.0)
    assert judgement.verdict is Verdict.PASS
    assert outcome_of(judgement, "hypothesis").message == "in the end: 47 checks held, with warnings"
