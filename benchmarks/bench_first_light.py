"""Measures what First light promises: lab up and down, smoke on a running lab, the drill's overhead and duration.

Prints one Markdown table of medians (least to most). Wants an otherwise idle machine:
``.venv/bin/python benchmarks/bench_first_light.py [RUNS]``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

MUSTER = [sys.executable, "-m", "muster"]


def timed(environ: dict[str, str], *arguments: str) -> float:
    """Seconds of one command; it must end in 0."""
    began = time.monotonic()
    subprocess.run([*MUSTER, *arguments], env=environ, check=True, capture_output=True)
    return time.monotonic() - began


def one_round(folder: Path) -> dict[str, float]:
    """One figure for each promise, in seconds, on a lab of its own."""
    environ = os.environ | {"LAB_STATE": str(folder / "lab"), "MUSTER_STATE": str(folder / "muster")}
    environ.pop("MUSTER_RUN", None)
    found = {"lab up": timed(environ, "lab", "up")}
    time.sleep(2)  # a lab that has just come up is still settling
    found["smoke on a running lab, whole process"] = timed(environ, "smoke", "--run-dir", str(folder / "smoke"))
    summary = json.loads((folder / "smoke" / "summary.json").read_text(encoding="utf-8"))
    found["of that, readings and checks"] = summary["duration_s"]
    found["lab down"] = timed(environ, "lab", "down")
    found["drill, lab boot included"] = timed(
        environ, "drill", "bad-release", "pod-kill", "--run-dir", str(folder / "drill")
    )
    measured = json.loads((folder / "drill" / "timeline.json").read_text(encoding="utf-8"))["measured"]
    found["fault in force to webhook, over the scaled window"] = measured["webhook_s"] - measured["window_s"]
    found["the same without target discovery"] = measured["overhead_s"]
    found["webhook to proven rollback"] = measured["rollback_s"]
    found["webhook to recovered"] = measured["recover_s"]
    return found


def main() -> None:
    """Run the rounds and print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rounds = []
    for number in range(runs):
        with TemporaryDirectory(prefix="bench") as folder:
            rounds.append(one_round(Path(folder)))
        print(f"round {number + 1} of {runs}: {rounds[-1]}", file=sys.stderr)
    print("| what | median | least to most |\n| --- | --- | --- |")
    for name in rounds[0]:
        values = sorted(each[name] for each in rounds)
        print(f"| {name} | {statistics.median(values):.2f} s | {values[0]:.2f} to {values[-1]:.2f} s |")


if __name__ == "__main__":
    main()
