"""Every reason to refuse is a pure function of the situation."""

import pytest

from muster.release import Known
from muster.responder.compare import Comparison
from muster.responder.decide import REASONS, fault_began, misdirected, refusal
from muster.responder.lock import Last
from muster.system.rollback import Canary

LAST = Last(at=995.0, alert="A", from_revision=2, to_revision=1, verdict="PASS")
AS_BAD = Comparison(blames=False, message="error_ratio is 15% with the release and 15% at 2 pods of another release")
MINE = Last(at=5.0, alert="A", from_revision=2, to_revision=1, verdict="FAIL", key="f1@2026-11-21T05:01:00.5Z")
REFUSED = {
    "under way": {"lock_holder": "other/127.0.0.1:9"},
    "acted on": {"last": MINE},
    "cool-down": {"last": LAST},
    "too often": {"begun": (900.0, 950.0, 990.0), "most_per_day": 3, "day_s": 200.0},
    "freeze": {"frozen": "changes are frozen until 2026-12-28T08:00:00Z: the weekend"},
    "no way back": {"obstacle": "deployment web has no previous revision to roll back to", "previous": None},
    "previous was bad": {"known": {"good": Known(1, frozenset(), rolled_back_at=5.0)}},
    "older than the release": {"fault_began": 100.0},
    "served well": {"served_since": 200.0, "release_margin_s": 99.0},
    "baseline suffers": {"comparison": AS_BAD},
}


def test_nothing_against_it_means_roll_back(situation):
    """No reason applies."""
    assert refusal(situation()) is None


def test_every_reason_of_the_table_has_a_case_here():
    """A reason that no test can trigger is not one."""
    assert {reason.name for reason in REASONS} == set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_reason_refuses_with_a_sentence(situation, release, name):
    """Each alone is enough."""
    no = refusal(situation(current=release(created=200.0), **{"fault_began": 300.0, **REFUSED[name]}))
    assert no is not None
    assert no.name == name
    assert no.message


def test_passing_reasons_leave_the_alert_open(situation):
    """A lock and a cool-down end; the next repetition of the alert is decided anew."""
    assert refusal(situation(lock_holder="other")).passing
    assert refusal(situation(last=LAST)).passing
    assert not refusal(situation(obstacle="no")).passing


def test_cool_down_ends(situation):
    """At ten seconds and not later."""
    assert refusal(situation(last=LAST, now=1004.9)) is not None
    assert refusal(situation(last=LAST, now=1005.0)) is None


def test_what_is_known_to_end_says_when(situation):
    """A cool-down at its end, a rollback under way after the longest that it may take; of the others nobody knows."""
    assert refusal(situation(last=LAST)).ends_at == 1005.0
    assert refusal(situation(lock_holder="other", work_s=90.0)).ends_at == 1090.0
    assert refusal(situation(**REFUSED["freeze"])).ends_at == 0.0


def test_an_alert_that_was_acted_on_is_not_again_whoever_is_told_of_it(situation):
    """Another responder was told of it, too, or the audit is lost: the Lease says so, and it is final."""
    no = refusal(situation(last=MINE))
    assert (no.name, no.passing) == ("acted on", False)


def test_fault_as_old_as_the_release_is_its_fault(situation, release):
    """Pods' times are whole seconds: the same second is no alibi."""
    assert refusal(situation(current=release(created=901.0))) is None
    assert refusal(situation(current=release(created=901.5))) is not None


def test_unknown_release_time_is_no_alibi(situation, release):
    """0 means that it cannot be told."""
    assert refusal(situation(current=release(created=0.0), fault_began=1.0)) is None


def test_fault_began_before_the_alert_fired_by_its_waiting_time(system, make_env, alert):
    """5 minutes, at time scale 60 five seconds."""
    env = make_env()
    assert alert().started - fault_began(alert(), system, env) == 5.0
    assert fault_began(alert("Unheard"), system, env) is None


def test_alert_of_another_system_or_environment_is_misdirected(system, make_env, alert):
    """A shared Alertmanager may route it here; acting on it would roll back the wrong thing."""
    env = make_env()
    assert misdirected(alert(), system, env) == ""
    assert "production" in misdirected(alert(environment="production"), system, env)
    assert "bank" in misdirected(alert(system="bank"), system, env)


@pytest.mark.parametrize("label", ["system", "environment"])
def test_alert_that_does_not_say_of_what_it_is_is_misdirected(system, make_env, alert, label):
    """Not known is not ours, unless the facts say that nobody else's alerts come here."""
    unnamed = alert(**{label: ""})
    assert f"names no {label}" in misdirected(unnamed, system, make_env())
    assert misdirected(unnamed, system, make_env(rollback={"take_unlabelled": True})) == ""
    assert misdirected(alert(environment="production"), system, make_env(rollback={"take_unlabelled": True}))


def test_alert_of_a_canary_that_is_not_declared_is_misdirected(system, make_env, alert):
    """Rolling the stable release back for it would take away what is well."""
    env = make_env()
    assert "declares none" in misdirected(alert(release="canary"), system, env)
    canary = Canary(ingress="next", deployment="next", metric_selector='app="next"')
    declared = env.model_copy(update={"rollback": env.rollback.model_copy(update={"canary": canary})})
    assert misdirected(alert(release="canary"), system, declared) == ""


def test_rollbacks_of_another_day_do_not_count(situation):
    """So many within a day, not so many ever; and none allowed means none."""
    begun = {"begun": (100.0, 150.0, 990.0), "day_s": 200.0}
    assert refusal(situation(most_per_day=2, **begun)) is None
    assert refusal(situation(most_per_day=1, **begun)).name == "too often"
    assert refusal(situation(most_per_day=0)).name == "too often"


def test_release_that_served_well_for_less_than_the_margin_may_be_the_cause(situation):
    """To the second; a release of which that is not known has no alibi."""
    assert refusal(situation(served_since=800.0, release_margin_s=100.0)) is None
    no = refusal(situation(served_since=799.0, release_margin_s=100.0))
    assert no.name == "served well"
    assert "1m41s" in no.message
    assert refusal(situation(served_since=0.0, release_margin_s=1.0)) is None


@pytest.mark.parametrize("blames", [True, None])
def test_comparison_that_blames_the_release_or_nobody_is_no_refusal(situation, blames):
    """The trigger is explicit: what cannot be compared does not stop it."""
    assert refusal(situation(comparison=Comparison(blames=blames, message="as it is"))) is None


def test_what_may_pass_leaves_the_alert_open(situation):
    """A freeze ends, a day ends, and a baseline may recover while the release does not."""
    for name in ("too often", "freeze", "baseline suffers"):
        assert refusal(situation(**REFUSED[name])).passing
