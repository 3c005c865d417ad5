"""Runs that look for the edge, or for what grows: the knee of a climb, the drift of a soak."""

from __future__ import annotations

import dataclasses

import pytest
from load_runs import BEGAN, run, second, verdicts

from muster.judge import drift, knee
from muster.judge.load import judge
from muster.judge.seconds import Step
from muster.system import load_system
from muster.verdict import Verdict


@pytest.fixture(scope="module")
def system():
    return load_system("x0tta6bl4")


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
