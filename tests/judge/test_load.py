"""A load run is judged by what was recorded; a generator that was the bottleneck proves nothing."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest
from hdrh.histogram import HdrHistogram

from muster.judge import drift, knee
from muster.judge.load import judge
from muster.judge.seconds import Endpoint, LoadRun, LoadSecond, Step
from muster.system import load_system
from muster.verdict import Verdict

BEGAN = 1_000_000


@cache
def encoded(latency_ms, count):
    found = HdrHistogram(1, 120_000_000, 3)
    found.record_value(int(latency_ms * 1000), count)
    return found.encode().decode()


def second(at, rate=6800, *, latency_ms=3.0, errors=0, kind="UnexpectedStatus: 500", answered=None, **more):
    answered = rate if answered is None else answered
    text = encoded(latency_ms, max(answered, 0)) if answered else encoded(1.0, 0)
    kinds = {kind: errors} if errors else {}
    told = Endpoint(requests=answered, errors=errors, kinds=kinds, latency=text, service=encoded(1.0, answered))
    base = {
        "offered": rate, "sent": rate, "late": 0, "dropped": 0, "held": 0, "held_dropped": 0, "users": 60,
        "cpu": 0.4, "lag_ms": 5.0, "stalled_ms": 0.0, "exhausted": 0, "workers": 1, "reports": 1,
        "requests": answered, "errors": errors, "p50_ms": 1.0, "p95_ms": latency_ms, "p99_ms": latency_ms,
        "service_p95_ms": 1.0,
    }  # fmt: skip
    return LoadSecond(at=BEGAN + at, endpoints={"GET /a": told}, **{**base, **more})


def run(seconds, *, rate=6800.0, steps=None, warm_up_s=2.0, **more):
    steps = steps or [Step(duration_s=float(len(seconds)), first=rate, last=rate)]
    return LoadRun(steps=steps, warm_up_s=warm_up_s, most_users=1020, workers=1, seconds=seconds, **more)


def verdicts(judged):
    return {finding.check: finding.verdict for finding in judged.findings}


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


def steps_run(slow_from, *, cpu=0.4, rates=(4000, 5000, 6000, 7000, 8000)):
    steps = [Step(duration_s=5.0, first=rate, last=rate) for rate in rates]
    seconds = []
    for at in range(5 * len(rates) + 1):
        rate = rates[min(at // 5, len(rates) - 1)]
        bad = rate >= slow_from
        seconds.append(second(at, rate, latency_ms=300.0 if bad else 3.0, cpu=cpu if bad else 0.4))
    return run(seconds, steps=steps, warm_up_s=0.0)


def test_the_knee_is_the_last_step_that_held(system):
    """Slow from 8,000/s on: the knee is at 7,000/s, over the promise."""
    judged = judge(steps_run(8000), system, kind="step")
    assert (judged.knee.rate, judged.knee.beyond.rate, judged.knee.exact) == (7000, 8000, True)
    assert verdicts(judged) == {"load.knee": Verdict.PASS}


def test_a_knee_under_the_promise_fails(system):
    """Slow from 6,000/s on."""
    assert verdicts(judge(steps_run(6000), system, kind="step")) == {"load.knee": Verdict.FAIL}


def test_a_knee_on_a_full_machine_is_a_lower_bound(system):
    """Slow for want of a core: the knee is there or higher, and under the promise nobody knows."""
    for slow_from, expected in ((7000, Verdict.PASS), (5000, Verdict.UNKNOWN)):
        recorded = steps_run(slow_from)
        seconds = [dataclasses.replace(s, machine=0.99) for s in recorded.seconds]
        judged = judge(dataclasses.replace(recorded, seconds=seconds), system, kind="step")
        assert not judged.knee.exact
        assert "the machine was saturated" in judged.knee.beyond.why
        assert verdicts(judged) == {"load.knee": expected}


def climbing(served, *, until):
    """A climb from 4,000/s by 1,000 each 5 s, of which so much is served, as recorded after ``until`` seconds."""
    steps = [Step(duration_s=5.0, first=rate, last=rate) for rate in range(4000, 17000, 1000)]
    seconds = [second(at, 4000 + at // 5 * 1000, answered=int(served(4000 + at // 5 * 1000))) for at in range(until)]
    return run(seconds, steps=steps, warm_up_s=0.0)


def test_a_climb_ends_when_two_steps_in_a_row_were_not_served(system):
    """7,000/s are served, of 8,000 and 9,000 less than 90%: it ends with the second, not before, and names the knee."""
    over = climbing(lambda rate: min(rate, 7100), until=31)
    assert knee.broken(climbing(lambda rate: min(rate, 7100), until=30)) == ""
    ended = knee.broken(over)
    assert ended == "the climb was ended: less than 90% of 8,000/s and of 9,000/s was served"
    judged = judge(dataclasses.replace(over, enough=ended), system, kind="step")
    assert (judged.knee.rate, judged.knee.beyond.rate, len(judged.knee.steps)) == (7000, 8000, 6)
    (finding,) = judged.findings
    assert finding.verdict is Verdict.PASS
    assert "it holds 7,000 requests/s, at 8,000/s no more" in finding.message
    assert ended in finding.message


def test_a_climb_goes_on_past_a_step_that_was_hard():
    """One step that was not served is no end, nor is one that was served late."""
    assert knee.broken(climbing(lambda rate: rate * (0.5 if rate == 8000 else 1), until=66)) == ""


def test_a_knee_of_the_generator_is_a_lower_bound(system):
    """Where the generator gave way the knee is there or higher; below the promise that is UNKNOWN."""
    above = judge(steps_run(7000, cpu=0.99), system, kind="step")
    assert not above.knee.exact
    assert verdicts(above) == {"load.knee": Verdict.PASS}
    assert verdicts(judge(steps_run(5000, cpu=0.99), system, kind="step")) == {"load.knee": Verdict.UNKNOWN}


def test_a_soak_warns_of_memory_that_grows_and_latency_that_creeps(system):
    """200 MB an hour is over the runbook's 100; P95 from 3 to 13 ms is told; without samples memory is UNKNOWN."""
    creeping = run([second(at, latency_ms=3.0 if at < 20 else 13.0) for at in range(40)])
    growing = [(BEGAN + at, 1e9 + at * 200e6 / 3600) for at in range(5, 40, 5)]
    found = verdicts(judge(creeping, system, kind="soak", memory=growing))
    assert found["load.memory-drift"] is Verdict.WARN
    assert found["load.latency-drift"] is Verdict.WARN
    steady = run([second(at) for at in range(40)])
    found = verdicts(judge(steady, system, kind="soak", memory=[(BEGAN + at, 1e9) for at in range(5, 40, 5)]))
    assert found["load.memory-drift"] is Verdict.PASS
    assert found["load.latency-drift"] is Verdict.PASS
    assert verdicts(judge(steady, system, kind="soak"))["load.memory-drift"] is Verdict.UNKNOWN


def test_the_slope_is_that_of_the_best_line():
    """Two units a second, whatever the offset; one instant has none."""
    assert drift.slope([(x, 5 + 2 * x) for x in (1.0, 2.0, 7.0)]) == pytest.approx(2)
    assert drift.slope([(1.0, 5.0), (1.0, 9.0)]) == 0


def test_what_the_system_let_nobody_send_took_longer_than_any_answer(system):
    """One request in ten was dropped because every user waited: P95 is over it, however quick others were."""
    held = [second(at, answered=6120, dropped=680, held_dropped=680, held=1) for at in range(20)]
    judged = judge(run(held), system)
    (found,) = [finding for finding in judged.findings if finding.check == "load.latency"]
    assert found.verdict is not Verdict.PASS
    assert "longer than any that was measured" in found.message
    few = judge(run([second(at, answered=6700, dropped=100, held_dropped=100, held=1) for at in range(20)]), system)
    assert verdicts(few)["load.latency"] is Verdict.PASS  # under 5% of them: P95 is one that was measured


def test_what_is_not_promised_is_skipped_and_never_held(system):
    """Neither a knee over a promise of nothing, nor memory under no limit."""
    silent = system.model_copy(update={"slo": {k: v for k, v in system.slo.items() if k == "latency_p95"}})
    climbed = judge(steps_run(7000), silent, kind="step")
    assert (climbed.findings, climbed.skipped) == ([], [("load.knee", "the system promises no throughput")])
    assert climbed.knee.rate == 6000
    memory = [(BEGAN + at, 1e9 + at * 1e9) for at in range(5, 40, 5)]
    soaked = judge(run([second(at) for at in range(40)]), silent, kind="soak", memory=memory)
    assert "load.memory-drift" not in verdicts(soaked)
    assert dict(soaked.skipped)["load.memory-drift"] == "the system states no limit of memory_growth"
