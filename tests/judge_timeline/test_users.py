"""The users of a drill: whether they came as ordered, who is to blame if not, and whether they are served again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from users_told import LIMITS, second

from muster.judge.figures import figures
from muster.judge.objectives import LoadOrder, Objectives
from muster.judge.served import LAST_S, limits_of, soonest, view
from muster.judge.timeline import judge
from muster.system import load_system
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

T0 = 1_000_000.0
RATE = 1000
PROMISED = Objectives(
    must_not=("page", "rollback"), recovered_within="30s", user_errors_below="20%", load=LoadOrder(rate=RATE, users=100)
)
HELD = {"dropped": 400, "held_dropped": 400, "sent": 600, "requests": 600, "p95_ms": 1100.0}
FULL = {"machine": 0.99}


@pytest.fixture
def told(make):
    """``told({(first, last): data})`` -> Timeline: a fault from 0 to 10, users of each second as ``data`` says."""

    def build(said=(), *, story=None, upto=20):
        rows = {at: {} for at in range(-5, upto)}
        for (first, last), data in dict(said).items():
            rows |= {at: rows[at] | data for at in range(first, last)}
        traffic = [(float(at), Kind.TRAFFIC, second(RATE) | {"offered": RATE} | data) for at, data in rows.items()]
        steady = [
            (-1.0, Kind.DRILL_STARTED, {"listen_s": {}} | LIMITS),
            (0.0, Kind.FAULT_INJECTED, {}),
            (0.5, Kind.FAULT_CONFIRMED, {}),
            (13.4, Kind.RECOVERED, {}),
            (13.5, Kind.STEADY, {"verdict": "PASS", "message": "47 checks held"}),
            (upto + 0.5, Kind.DRILL_ENDED, {}),
        ]
        made = make(story=story or steady)
        others = [event for event in made.events if event.kind is not Kind.TRAFFIC]
        users = [Event(at=T0 + at, kind=kind, source="load", data=data) for at, kind, data in traffic]
        return replace(made, events=tuple(sorted((*others, *users), key=lambda event: event.at)))

    return build


def without(timeline, kind):
    return replace(timeline, events=tuple(event for event in timeline.events if event.kind is not kind))


@pytest.fixture
def load_of(outcome_of):
    def find(timeline, promised=PROMISED, name="load"):
        return outcome_of(judge(timeline, promised), name)

    return find


def test_users_who_came_are_counted(told, load_of):
    """All of what was due was sent: PASS, with both numbers."""
    outcome = load_of(told())
    assert outcome.verdict is Verdict.PASS
    assert outcome.message == "users came as ordered: 20,000 of 20,000 requests were sent (100.00%)"


def test_one_in_a_hundred_may_be_missing(told, load_of):
    """0.9% never sent changes no number that is judged; 1.1% may."""
    few, more = ({(2, 4): {"dropped": n, "held_dropped": 0}} for n in (90, 110))
    assert load_of(told(few)).verdict is Verdict.PASS
    assert "in the worst second 90 were given up" in load_of(told(few)).message
    assert load_of(told(more)).verdict is Verdict.UNKNOWN


def test_a_machine_that_cannot_offer_the_rate_at_all_proves_nothing(told, load_of):
    """Never sent also while nothing was broken, with all cores busy: UNKNOWN, and it says what was possible."""
    overloaded = told({(0, 20): HELD | FULL})
    outcome = load_of(overloaded)
    assert outcome.verdict is Verdict.UNKNOWN
    assert "users did not come as ordered: 1,000/s were ordered, 600/s sent on average" in outcome.message
    assert "the machine was saturated: all cores were busy in 8 of the 8 s" in outcome.message
    assert judge(overloaded, PROMISED).sentence == outcome.message, "the first thing that a person reads"


def test_what_the_broken_system_let_nobody_send_counts_as_failed(told, load_of):
    """Users wait for a service that hangs: they came; 2,000 of 20,000 could not ask, and were not served."""
    hung = told({(3, 8): HELD})
    assert load_of(hung).verdict is Verdict.PASS
    assert "2,000 of 20,000 requests (10.00%) could not be sent" in load_of(hung).message
    felt = load_of(hung, name="user_errors_below")
    assert felt.verdict is Verdict.PASS
    assert felt.message == "users: 2000 of 20000 requests failed (2000 of them could not be sent), 10.00% < 20.00%"
    measured = judge(hung, PROMISED).measured
    assert (measured.user_due, measured.user_unsent, measured.user_errors) == (20_000, 2_000, 2_000)
    longer = load_of(told({(0, 12): HELD}), name="user_errors_below")
    assert longer.verdict is Verdict.FAIL


def test_where_the_machine_was_full_it_may_be_to_blame_for_failures_and_excuses_none(told, load_of):
    """The same with all cores busy, while the rate is held as soon as nothing is broken.

    That the limit holds is sure, whoever kept users waiting; that it does not is not. A 500 is one on any machine.
    """
    few, many = told({(3, 8): HELD | FULL}), told({(0, 12): HELD | FULL})
    assert load_of(few).verdict is load_of(many).verdict is Verdict.PASS
    assert "that may have been the machine's doing as well: the machine was saturated" in load_of(few).message
    assert load_of(few, name="user_errors_below").verdict is Verdict.PASS
    doubted = load_of(many, name="user_errors_below")
    assert doubted.verdict is Verdict.UNKNOWN
    assert "between 0.00% and 24.00% by the system's doing (limit 20.00%): the machine was saturated" in doubted.message
    errors = {"errors": 500, "kinds": {"UnexpectedStatus: 500": 500}}
    assert load_of(told({(0, 12): HELD | FULL | errors}), name="user_errors_below").verdict is Verdict.FAIL
    timeouts = {"errors": 500, "kinds": {"AnswerTimeout: 5 s": 500}}
    assert load_of(told({(0, 12): HELD | FULL | timeouts}), name="user_errors_below").verdict is Verdict.UNKNOWN


def test_few_that_were_never_sent_may_be_the_machines_doing_too(told, load_of):
    """0.8% is no matter for ``load``, and breaks a limit of 0.5%: whether by the system, nobody knows."""
    strict = PROMISED.model_copy(update={"user_errors_below": 0.005})
    few = {"dropped": 80, "held_dropped": 80}
    assert load_of(told({(3, 5): few}), strict, "user_errors_below").verdict is Verdict.FAIL
    assert load_of(told({(3, 5): few | FULL}), strict, "user_errors_below").verdict is Verdict.UNKNOWN
    assert load_of(told({(3, 5): few | FULL}), strict).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"dropped": 400, "held_dropped": 0}, "it missed 10.00% of its schedule"),
        ({"dropped": 400, "held_dropped": 400, "cpu": 0.99}, "its core was saturated in 5 of 5 s"),
        (
            {"dropped": 400, "held_dropped": 400, "exhausted": 7},
            "its machine ran out of descriptors, ports or buffers 35 times",
        ),
    ],
)
def test_a_generator_that_was_the_bottleneck_proves_nothing(told, load_of, data, words):
    """While the fault was in force, too: the system did not keep these users waiting."""
    outcome = load_of(told({(3, 8): data}))
    assert outcome.verdict is Verdict.UNKNOWN
    assert f"the generator was the bottleneck: {words}" in outcome.message


def test_users_who_are_too_few_cannot_come_at_that_rate(told, load_of):
    """By Little's law: 50 users send 1,000/s only to who answers within 50 ms, and 100 ms are promised."""
    few = PROMISED.model_copy(update={"load": LoadOrder(rate=RATE, users=50)})
    outcome = load_of(told({(3, 8): HELD}), few)
    assert outcome.verdict is Verdict.UNKNOWN
    assert "its 50 users were too few for 1,000/s" in outcome.message


def test_a_schedule_that_was_not_followed_or_told_of_is_no_pass(told, load_of):
    """Fewer fell due than were ordered; or the generator told nothing of the drill's last seconds."""
    slower = load_of(told({(0, 20): {"offered": 900, "sent": 900, "requests": 900}}))
    assert (slower.verdict, "only 18,000 of 20,000 requests fell due" in slower.message) == (Verdict.UNKNOWN, True)
    full = told()
    late = replace(full, events=tuple(e for e in full.events if e.kind is not Kind.TRAFFIC or e.at < T0 + 15))
    silent = load_of(late)
    assert (silent.verdict, "told nothing of the last 6 s" in silent.message) == (Verdict.UNKNOWN, True)


def test_a_recording_that_does_not_tell_what_was_due_does_not_know(told, load_of):
    """Requests and errors alone, as drills told them once: whether users came is UNKNOWN."""
    made = told()
    old = [replace(e, data={k: e.data[k] for k in ("requests", "errors", "p95_ms")}) if "offered" in e.data else e
           for e in made.events]  # fmt: skip
    outcome = load_of(replace(made, events=tuple(old)))
    assert outcome.verdict is Verdict.UNKNOWN
    assert "told of no request that was due" in outcome.message


def test_without_users_nothing_is_asked_of_them(told):
    """An experiment that orders none has no such objective, and recovers by the checks alone."""
    alone = Objectives(must_not=("page",), recovered_within="30s")
    judged = judge(told(), alone)
    assert "load" not in {outcome.objective for outcome in judged.outcomes}
    assert judge(without(told(), Kind.TRAFFIC), alone).broken == ""


SLOW, FAILING, SILENT = {"p95_ms": 250.0}, {"errors": 60}, {"requests": 0, "sent": 0, "p95_ms": None}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SLOW, "users' P95 was 250 ms from when requests were due (limit 200 ms) in the last 2 s"),
        (FAILING, "6.00% of users' requests failed or could not be sent (limit 5.00%)"),
        ({"dropped": 60, "held_dropped": 60}, "6.00% of users' requests failed or could not be sent"),
        (SILENT, "no request of users was answered in a whole second"),
    ],
)
def test_users_who_are_not_well_have_not_recovered(told, load_of, data, words):
    """The checks hold, and the last two full seconds before that are bad: FAIL; with all cores busy UNKNOWN."""
    words = words.replace("6.00%", f"{60 / (1060 if 'dropped' in data else 1000):.2%}")
    failed = load_of(told({(11, 13): data}), name="recovery")
    assert failed.verdict is Verdict.FAIL
    assert words in failed.message
    busy = load_of(told({(11, 13): data | FULL}), name="recovery")
    assert busy.verdict is (Verdict.UNKNOWN if data is not FAILING and data is not SILENT else Verdict.FAIL)


def test_one_good_second_is_no_recovery(told, load_of):
    """An overloaded system has good seconds, too."""
    assert load_of(told({(11, 12): SLOW}), name="recovery").verdict is Verdict.FAIL
    assert load_of(told({(10, 11): SLOW}), name="recovery").verdict is Verdict.PASS


def test_seconds_in_which_the_fault_was_still_there_tell_nothing_of_recovery(told):
    """What ends at 12.3 is seen in the seconds from 13 on, however good those before were."""
    made = told(story=[(0.0, Kind.FAULT_INJECTED, {}), (12.3, Kind.HEALED, {})])
    assert view(made, T0 + 14.9).well is None
    assert view(made, T0 + 15.0).well is True
    assert soonest(made, T0 + 12.5).at == T0 + 13 + LAST_S


def test_users_are_waited_for_until_they_are_well(told):
    """The first instant from the look on at which the last two full seconds were good."""
    made = told({(0, 15): SLOW})
    found = soonest(made, T0 + 13.4)
    assert (found.at, found.well) == (T0 + 17, True)
    assert found.said == "users: P95 12 ms, 0.00% of 2,000 requests failed in 2 s"
    never = soonest(told({(0, 20): SLOW}), T0 + 13.4)
    assert (never.at, never.well, never.verdict) == (T0 + 20, False, Verdict.FAIL)
    assert soonest(without(made, Kind.TRAFFIC), T0 + 13.4).verdict is Verdict.UNKNOWN


def test_a_second_that_is_not_told_yet_is_waited_for(told):
    """A second that has ended, and of which nothing is known, is no good one."""
    made = told(upto=12)  # the last ends at 12
    assert view(made, T0 + 12.9).well is True
    assert view(made, T0 + 13.0).well is None


def test_a_recovery_that_was_given_up_says_how_users_were(told, load_of):
    """Checks that held and users who were not well: not the checks are to blame that it was never told."""
    given_up = load_of(without(told({(3, 20): SLOW}), Kind.RECOVERED), name="recovery")
    assert given_up.verdict is Verdict.FAIL
    assert given_up.message.startswith("the checks held again, but users were not well: users' P95 was 250 ms")


def test_the_limits_are_those_at_which_the_checks_fail():
    """P95 200 ms and 5% of errors for x0tta6bl4: what users feel and what smoke says cannot disagree."""
    assert limits_of(load_system("x0tta6bl4")) == {"p95_s": 0.2, "error_ratio": 0.05}


def test_a_second_is_read_from_the_timeline_as_it_was_told():
    """The generator's figures survive the way through JSON; what tells only of answers is none of them."""
    event = Event(at=T0, kind=Kind.TRAFFIC, source="load", data=second(1200, 3, dropped=7))
    found = figures(event)
    assert (found.at, found.offered, found.errors, found.dropped) == (int(T0), 1200, 3, 7)
    assert figures(replace(event, data={"requests": 1, "errors": 0, "p95_ms": 1.0})) is None
    assert Timeline(experiment="", system="", environment="", events=(event,)).first(Kind.TRAFFIC) is event
