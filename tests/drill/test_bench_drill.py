"""The benchmark of drills can fail: over a missing experiment, one that always fails, a drill's exit code."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "bench_drill", Path(__file__).parents[2] / "benchmarks" / "bench_drill.py"
)
bench = importlib.util.module_from_spec(_spec)
sys.modules["bench_drill"] = bench  # dataclasses look their module up
_spec.loader.exec_module(bench)

KEPT = {
    "webhook_s": 5.5, "window_s": 5.0, "overhead_s": 0.4, "traffic_off_s": 0.5, "rollback_s": 2.0, "recover_s": 4.0,
}  # fmt: skip
EXPECTED = ["bad-release", "pod-kill"]


def documents(**verdicts):
    given = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    return {name: {"verdict": verdict, "measured": KEPT} for name, verdict in given.items()}


GOOD = (0, documents(bad_release="PASS", pod_kill="PASS"))
RUNS = {
    "all passed": ([GOOD, GOOD], 0, ""),
    "one fails in every run": ([(1, documents(bad_release="PASS", pod_kill="FAIL"))] * 2, 1, "quick/pod-kill: 2 FAIL"),
    "one is unknown once": ([GOOD, (6, documents(bad_release="PASS", pod_kill="UNKNOWN"))], 1, "1 PASS, 1 UNKNOWN"),
    "one did not run": ([GOOD, (0, documents(bad_release="PASS"))], 1, "quick/pod-kill: 1 PASS, 1 did not run"),
    "the flagship did not run": ([(0, documents(pod_kill="PASS"))] * 2, 1, "quick/bad-release: 2 did not run"),
    "nothing ran": ([(4, {})] * 2, 1, "muster drill quick: 2 exit code 4"),
    "the drill itself failed": ([GOOD, (1, GOOD[1])], 1, "muster drill quick: 1 PASS, 1 exit code 1"),
}


@pytest.mark.parametrize("name", RUNS)
def test_whatever_did_not_pass_in_every_run_is_named_and_fails(capsys, name):
    """Exit code 0 means that every experiment of the set ran and passed each time, and that the drills said so."""
    runs, code, words = RUNS[name]
    found, verdicts = {}, defaultdict(Counter)
    for exit_code, ran in runs:
        bench.collect(found, ran, EXPECTED)
        bench.record(verdicts, "quick", exit_code, ran, EXPECTED)
    assert bench.tables(found, verdicts, len(runs)) == code
    out = capsys.readouterr().out
    assert words in out
    assert ("Not passed each time" in out) is bool(code)


def test_a_figure_that_was_not_measured_is_a_promise_missed(capsys):
    """Of an experiment that did not run there is none."""
    found = {}
    bench.collect(found, {}, EXPECTED)
    assert found
    assert all(series.missing == 1 and not series.kept for series in found.values())


def test_a_set_is_what_the_experiments_tags_say():
    """Which experiments must have run is not asked of the run itself."""
    assert {"bad-release", "pod-kill"} <= {*bench.members("quick")} <= {*bench.members("quarterly")} | {"pod-kill"}
    assert bench.main.__doc__


def test_what_an_earlier_run_left_is_refused(monkeypatch, tmp_path, capsys):
    """A timeline of yesterday would pass for one of today's."""
    (tmp_path / "quick-1").mkdir()
    monkeypatch.setattr(sys, "argv", ["bench_drill.py", "--keep", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == 2
    assert "is not empty" in capsys.readouterr().err
