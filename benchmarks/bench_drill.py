"""Measures what the drill promises: fault to webhook over the runbook's window, rollback, recovery, and whole sets.

On one lab, set-up not counted, runs the quarterly set and the quick one several times; prints Markdown tables (median,
least to most, the promise) and whether every run passed. Exit code 1 unless every promise was kept, every experiment
of a set ran and passed in every run, and every drill ended with exit code 0. Wants an otherwise idle machine:

``.venv/bin/python benchmarks/bench_drill.py [--runs 3] [--sets quarterly quick] [--keep FOLDER]``
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from muster.drill.selection import select
from muster.verdict import Verdict

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
MISSING = "did not run"
MUSTER = [sys.executable, "-m", "muster"]
SETS = {"quarterly": 240.0, "quick": 60.0}  # seconds a whole set may take
# Experiment -> what triggers its rollback, the most seconds from fault to webhook over the window (None: no promise)
TRIGGERS: dict[str, tuple[str, float | None]] = {
    "bad-release": ("error ratio", 1.0),
    "hanging-release": ("down", 1.0),
    "pqc-fallback": ("PQC", None),
    "slow-release": ("P95", 1.2),
}
AFTER_WEBHOOK = (  # what, its key in timeline.json's measured, and the most seconds
    ("webhook to traffic off the bad release", "traffic_off_s", 1.0),
    ("webhook to proven rollback", "rollback_s", 3.0),
    ("webhook to steady state back", "recover_s", 5.0),
)


@dataclass
class Series:
    """Figures of one kind, in seconds, and the most that is promised (None: told, not promised)."""

    promise: float | None = None
    values: list[float] = field(default_factory=list)
    missing: int = 0  # runs in which it was not measured: never a promise kept

    @property
    def kept(self) -> bool:
        """Whether every run kept the promise, and said so."""
        return self.promise is None or (bool(self.values) and not self.missing and max(self.values) <= self.promise)

    def add(self, value: float | None) -> None:
        """One run's figure."""
        if value is None:
            self.missing += 1
        else:
            self.values.append(value)

    def row(self, name: str) -> str:
        """A row of the table."""
        found = sorted(self.values)
        spread = f"{statistics.median(found):.2f} s | {found[0]:.2f} to {found[-1]:.2f} s" if found else "none | none"
        lost = f", {self.missing} not measured" if self.missing else ""
        promise = f"{self.promise:g} s | {'kept' if self.kept else 'MISSED'}" if self.promise is not None else " | "
        return f"| {name} | {len(found)}{lost} | {spread} | {promise} |"


def drill(which: str, folder: Path, environ: Mapping[str, str]) -> tuple[float, int, dict[str, Any]]:
    """Run one set on the running lab: its seconds, its exit code, and the documents of its experiments by name."""
    began = time.monotonic()
    ended = subprocess.run(
        [*MUSTER, "drill", which, "--run-dir", str(folder)],
        env={**environ}, capture_output=True, text=True, timeout=5 * SETS[which], check=False,
    )  # fmt: skip
    took = time.monotonic() - began
    if ended.returncode:
        print(f"{which}: exit code {ended.returncode}: {ended.stderr.strip()[-500:]}", file=sys.stderr)
    files = sorted(folder.glob("experiments/*/timeline.json"))
    documents = {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}
    return took, ended.returncode, documents


def members(which: str) -> list[str]:
    """The experiments of a set, by the files' own tags: those that a run must have."""
    return [file.stem for file in select(EXPERIMENTS, [which])]


def collect(found: dict[str, Series], documents: Mapping[str, Any], expected: Collection[str]) -> None:
    """The figures of the experiments that end in a rollback; of one that did not run they are missing."""
    for name, (trigger, promise) in TRIGGERS.items():
        if name not in {*expected, *documents}:
            continue
        measured = documents[name]["measured"] if name in documents else {}
        webhook, window = measured.get("webhook_s"), measured.get("window_s", 0.0)
        over = None if webhook is None else max(0.0, webhook - window)
        found.setdefault(f"{trigger}: fault in force to webhook, over the window", Series(promise)).add(over)
        label = f"{trigger}: first scrape of the fault to webhook, over the window"
        found.setdefault(label, Series(promise)).add(measured.get("overhead_s"))
        for what, key, most in AFTER_WEBHOOK:
            found.setdefault(f"{trigger}: {what}", Series(most)).add(measured.get(key))


def record(
    verdicts: Mapping[str, Counter[str]], which: str, code: int, documents: Mapping[str, Any], expected: Collection[str]
) -> None:
    """Count one run's verdicts: the drill's own, by its exit code, and each experiment's, or that it is missing."""
    verdicts[f"muster drill {which}"][Verdict.PASS.value if code == 0 else f"exit code {code}"] += 1
    for name in sorted({*expected, *documents}):
        verdicts[f"{which}/{name}"][documents[name]["verdict"] if name in documents else MISSING] += 1


def failures(verdicts: Mapping[str, Counter[str]], runs: int) -> Iterator[str]:
    """What did not pass in every run."""
    for name, counts in sorted(verdicts.items()):
        if counts[Verdict.PASS.value] != runs or counts.total() != runs:
            yield f"{name}: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}"


def main() -> int:
    """Run the sets and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="of each set, in a row (default 3)")
    parser.add_argument("--sets", nargs="+", choices=[*SETS], default=[*SETS], help="default: both")
    parser.add_argument("--keep", type=Path, help="leave the runs' outputs here")
    asked = parser.parse_args()
    if asked.runs < 1:
        parser.error("--runs: at least one")
    if asked.keep is not None and asked.keep.exists() and any(asked.keep.iterdir()):
        parser.error(f"--keep: {asked.keep} is not empty, and what an earlier run left would pass for this one's")
    found: dict[str, Series] = {}
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    with TemporaryDirectory(prefix="bench-drill-") as scratch:
        place = (asked.keep or Path(scratch)).resolve()
        environ = os.environ | {"LAB_STATE": f"{scratch}/lab", "MUSTER_STATE": f"{scratch}/muster"}
        environ.pop("MUSTER_RUN", None)
        subprocess.run([*MUSTER, "lab", "up"], env=environ, check=True, capture_output=True)
        try:
            for which in asked.sets:
                expected = members(which)
                for number in range(1, asked.runs + 1):
                    took, code, documents = drill(which, place / f"{which}-{number}", environ)
                    found.setdefault(f"`muster drill {which}`, lab running", Series(SETS[which])).add(took)
                    collect(found, documents, expected)
                    record(verdicts, which, code, documents, expected)
                    said = ", ".join(f"{name} {document['verdict']}" for name, document in documents.items())
                    print(f"{which} {number} of {asked.runs}: {took:.1f} s; {said}", file=sys.stderr)
        finally:
            subprocess.run([*MUSTER, "lab", "down"], env=environ, check=False, capture_output=True)
    return tables(found, verdicts, asked.runs)


def tables(found: Mapping[str, Series], verdicts: Mapping[str, Counter[str]], runs: int) -> int:
    """Print what was found; 0 when every promise was kept and everything passed in every run."""
    print("| what | runs | median | least to most | promise | |\n| --- | --- | --- | --- | --- | --- |")
    for name, series in sorted(found.items()):
        print(series.row(name))
    failed = list(failures(verdicts, runs))
    passed = len(verdicts) - len(failed)
    print(f"\n{runs} runs in a row of each set: {passed} of {len(verdicts)} drills and experiments passed each time.")
    print("\n".join(f"Not passed each time: {line}." for line in failed))
    return int(bool(failed) or not verdicts or not all(series.kept for series in found.values()))


if __name__ == "__main__":
    sys.exit(main())
