"""A load run is judged by what was recorded; a generator that was the bottleneck proves nothing."""

from __future__ import annotations

import dataclasses

import pytest
from load_runs import BEGAN, run, second, verdicts

from muster.judge.load import judge
from muster.judge.seconds import Step
from muster.system import load_system
from muster.verdict import Verdict


@pytest.fixture(scope="module")
def system():
    return load_system("x0tta6bl4")


def test_a_run_that_holds_passes(system):
    """6,800/s served with P95 3 ms and no error: every finding is a PASS."""
    judged = judge(run([second(at) for at in range(20)]), system)
    assert set(verdicts(judged).values()) == {Verdict.PASS}
    assert judged.achieved_rps == 6800
    assert judged.missed_ratio == 0
    assert judged.latency_ms["p95"] == pytest.approx(3, rel=0.001)


def test_slow_answers_fail(system):
    """P95 of 120 ms is over the promised 100 ms, and the sentence has both numbers."""
    judged = judge(run([second(at, latency_ms=120.0) for at in range(20)]), system)
    assert verdicts(judged)["load.latency"] is Verdict.FAIL
    assert any("120" in finding.message and "100 ms" in finding.message for finding in judged.findings)


def test_errors_fail_and_the_first_is_timed(system):
    """1% of errors from second 7 on: FAIL, with the second of the first failure."""
    judged = judge(run([second(at, errors=68 if at >= 7 else 0) for at in range(20)]), system)
    assert verdicts(judged)["load.errors"] is Verdict.FAIL
    assert judged.first_failure_s == 7


def test_too_few_served_fail_and_too_few_for_the_target_warn(system):
    """5,000/s is under the promise; 6,500/s under the target only, which breaks nothing."""
    low = judge(run([second(at, answered=5000) for at in range(20)]), system)
    assert verdicts(low)["load.throughput"] is Verdict.FAIL
    middle = judge(run([second(at, answered=6500) for at in range(20)]), system)
    assert verdicts(middle)["load.throughput"] is Verdict.WARN


def test_the_promise_is_held_against_the_seconds_that_ask_for_it(system):
    """A spike asks for all of it now and then: what is offered between is no lack of throughput, and hides none."""
    steps = [Step(duration_s=10.0, first=rate, last=rate) for rate in (2000.0, 6800.0, 2000.0)]

    def spike(served):
        calm, busy = range(10), range(10, 20)
        made = [second(at, 2000) for at in calm] + [second(at, answered=served) for at in busy]
        return judge(run([*made, *(second(at, 2000) for at in range(20, 30))], steps=steps), system)

    held, lost = spike(6800), spike(5000)
    assert verdicts(held)["load.throughput"] is Verdict.PASS
    assert any("6,800 of 6,800 requests/s were served in the 8 of" in f.message for f in held.findings)
    assert verdicts(lost)["load.throughput"] is Verdict.FAIL


def test_seconds_are_chosen_by_the_schedule_and_not_by_what_was_counted():
    """At exactly the promise, a request that falls into the next second moves no second out of the judgement."""
    counted = run([second(at, 6000 - 9 * (at % 2)) for at in range(20)], rate=6000.0)
    assert [one.at - BEGAN for one in counted.asking(6000.0)] == list(range(3, 19))
    ramp = run([second(at) for at in range(20)], steps=[Step(duration_s=20.0, first=4000.0, last=8000.0)])
    assert [one.at - BEGAN for one in ramp.asking(6000.0)] == list(range(12, 19))
    assert ramp.asking(9000.0) == []


def test_a_promise_that_was_not_tested_is_skipped_with_its_reason(system):
    """At 1,000/s nobody learns whether 6,000/s are held: that is said, not passed."""
    judged = judge(run([second(at, 1000) for at in range(20)], rate=1000.0), system)
    assert "load.throughput" not in verdicts(judged)
    assert "was not tested" in dict(judged.skipped)["load.throughput"]


TROUBLES = {
    "missed": {"late": 100},
    "saturated": {"cpu": 0.99},
    "stood still": {"stalled_ms": 40.0},
    "were lost": {"workers": 3, "reports": 2},
    "ran out": {"exhausted": 1},
}


def test_a_generator_that_says_goodbye_is_not_saturated(system):
    """The cut second after the last request is all CPU and no work: a short run would be UNKNOWN for it."""
    seconds = [second(at) for at in range(10)]
    steps = [Step(duration_s=10.0, first=6800.0, last=6800.0)]
    leaving = verdicts(judge(run([*seconds, second(10, 0, cpu=1.0)], steps=steps), system))
    assert leaving["load.generator"] is Verdict.PASS
    working = verdicts(judge(run([*seconds, second(10, cpu=1.0)], steps=steps), system))
    assert working["load.generator"] is Verdict.UNKNOWN


@pytest.mark.parametrize("word", TROUBLES)
def test_a_generator_that_was_the_bottleneck_proves_nothing(system, word):
    """Whatever was wrong with it: slow answers and missing throughput are UNKNOWN, never FAIL and never PASS."""
    slow = [second(at, latency_ms=500.0, answered=3000, **TROUBLES[word]) for at in range(20)]
    found = verdicts(judge(run(slow), system))
    assert found["load.generator"] is Verdict.UNKNOWN
    assert found["load.latency"] is Verdict.UNKNOWN
    assert found["load.throughput"] is Verdict.UNKNOWN
    message = next(f.message for f in judge(run(slow), system).findings if f.check == "load.generator")
    assert word in message
    healthy = verdicts(judge(run([second(at, **TROUBLES[word]) for at in range(20)]), system))
    assert Verdict.UNKNOWN in healthy.values()


def test_a_machine_without_a_free_core_proves_nothing_of_what_is_slow(system):
    """Slow, short and late on a saturated machine: UNKNOWN, and the sentence blames the machine and says what to do."""
    full = {"machine": 0.99, "cpu": 0.5, "late": 420, "held": 2000}
    judged = judge(run([second(at, latency_ms=900.0, answered=3000, **full) for at in range(20)]), system)
    found = verdicts(judged)
    assert {found["load.generator"], found["load.latency"], found["load.throughput"]} == {Verdict.UNKNOWN}
    message = next(finding.message for finding in judged.findings if finding.check == "load.generator")
    assert "proves nothing: the machine was saturated: all cores were busy in 17 of the 17 s" in message
    assert "the generator with 50% of one; run it on another machine" in message


def test_what_is_fast_on_a_full_machine_is_fast(system):
    """A busy machine alone takes nothing from a promise that was kept."""
    found = verdicts(judge(run([second(at, machine=1.0) for at in range(20)]), system))
    assert set(found.values()) == {Verdict.PASS}


def test_a_machine_that_was_full_at_another_time_excuses_nothing(system):
    """Slow with cores to spare: FAIL, although the machine was full in some seconds in which it was fast."""
    slow = [second(at, latency_ms=400.0 if at > 5 else 3.0, machine=0.99 if at <= 5 else 0.6) for at in range(20)]
    assert verdicts(judge(run(slow), system))["load.latency"] is Verdict.FAIL


def test_answers_with_wrong_statuses_fail_whatever_the_generator_did(system):
    """A 500 is a 500, also from a slow machine; a timeout may be the machine's own."""
    sick = {"late": 100}
    sure = judge(run([second(at, errors=68, **sick) for at in range(20)]), system)
    assert verdicts(sure)["load.errors"] is Verdict.FAIL
    perhaps = judge(run([second(at, errors=68, kind="AnswerTimeout: x", **sick) for at in range(20)]), system)
    assert verdicts(perhaps)["load.errors"] is Verdict.UNKNOWN


def test_missing_seconds_and_a_schedule_that_was_not_offered_are_unknown(system):
    """Seconds that nobody recorded, or requests that never fell due, are no proof."""
    gap = [second(at) for at in range(20) if at != 10]
    assert verdicts(judge(run(gap), system))["load.generator"] is Verdict.UNKNOWN
    short = run([second(at, 3000) for at in range(20)], rate=6800.0)
    assert verdicts(judge(short, system))["load.generator"] is Verdict.UNKNOWN


def test_nothing_recorded_is_unknown(system):
    """No data is never a pass."""
    found = verdicts(judge(run([], steps=[Step(duration_s=10, first=6800, last=6800)]), system))
    assert found["load.generator"] is Verdict.UNKNOWN
    assert Verdict.PASS not in found.values()


def test_users_that_all_wait_are_the_systems_doing_when_they_are_enough(system):
    """With rate times promised latency users, all of them waiting proves that answers take longer than promised."""
    hung = [second(at, answered=600, latency_ms=4000.0, held=5000, dropped=4000, held_dropped=4000) for at in range(20)]
    assert verdicts(judge(run(hung), system))["load.latency"] is Verdict.FAIL
    few = dataclasses.replace(run(hung), most_users=100)
    assert verdicts(judge(few, system))["load.latency"] is Verdict.UNKNOWN


def test_a_system_that_dies_fails_with_its_second(system):
    """From second 8 on nothing is answered: FAIL, and the sentence says when."""
    dead = {"errors": 6800, "kind": "ConnectRefused: x"}
    judged = judge(run([second(at, **(dead if at >= 8 else {})) for at in range(20)]), system)
    assert judged.died_s == 8
    message = next(finding.message for finding in judged.findings if finding.check == "load.errors")
    assert "from 8 s on every request failed" in message
    assert judge(run([second(at) for at in range(20)]), system).died_s is None


def test_the_warm_up_is_not_judged(system):
    """Slow and failing first seconds are excluded, the first failure is still told."""
    cold = {"latency_ms": 900.0, "errors": 500}
    judged = judge(run([second(at, **(cold if at < 2 else {})) for at in range(20)]), system)
    assert set(verdicts(judged).values()) == {Verdict.PASS}
    assert judged.first_failure_s == 0


def test_what_the_system_let_nobody_send_took_longer_than_any_answer(system):
    """One request in ten was dropped because every user waited: P95 is over it, however quick others were."""
    held = [second(at, answered=6120, dropped=680, held_dropped=680, held=1) for at in range(20)]
    judged = judge(run(held), system)
    (found,) = [finding for finding in judged.findings if finding.check == "load.latency"]
    assert found.verdict is not Verdict.PASS
    assert "longer than any that was measured" in found.message
    few = judge(run([second(at, answered=6700, dropped=100, held_dropped=100, held=1) for at in range(20)]), system)
    assert verdicts(few)["load.latency"] is Verdict.PASS  # under 5% of them: P95 is one that was measured
