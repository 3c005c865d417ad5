"""Measures what the drill promises: fault to webhook over the runbook's window, rollback, recovery, and whole sets.

On one lab, set-up not counted, runs the quarterly set and the quick one several times; prints Markdown tables (median,
least to most, the promise) and whether every run gave the same verdicts. Exit code 1 when a promise was missed or
verdicts differ. Wants an otherwise idle machine:

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MUSTER = [sys.executable, "-m", "muster"]
SETS = {"quarterly": 240.0, "quick": 60.0}  # seconds a whole set may take
TRIGGERS = {  # experiment -> what triggers its rollback, and the most seconds from fault to webhook over the window
    "bad-release": ("error ratio", 1.0),
    "hanging-release": ("down", 1.0),
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


def drill(which: str, folder: Path, environ: Mapping[str, str]) -> tuple[float, dict[str, Any]]:
    """Run one set on the running lab: its seconds, and the documents of its experiments by name."""
    began = time.monotonic()
    ended = subprocess.run(
        [*MUSTER, "drill", which, "--run-dir", str(folder)],
        env={**environ}, capture_output=True, text=True, timeout=5 * SETS[which], check=False,
    )  # fmt: skip
    took = time.monotonic() - began
    files = sorted(folder.glob("experiments/*/timeline.json"))
    if not files:
        raise SystemExit(f"the drill left no timeline (exit code {ended.returncode}): {ended.stderr.strip()[-500:]}")
    return took, {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def collect(found: dict[str, Series], documents: Mapping[str, Any]) -> None:
    """The figures of the experiments that end in a rollback."""
    for name, (trigger, promise) in TRIGGERS.items():
        if name not in documents:
            continue
        measured = documents[name]["measured"]
        webhook, window = measured.get("webhook_s"), measured["window_s"]
        over = None if webhook is None else max(0.0, webhook - window)
        found.setdefault(f"{trigger}: fault in force to webhook, over the window", Series(promise)).add(over)
        label = f"{trigger}: first scrape of the fault to webhook, over the window"
        found.setdefault(label, Series(promise)).add(measured.get("overhead_s"))
        for what, key, most in AFTER_WEBHOOK:
            found.setdefault(f"{trigger}: {what}", Series(most)).add(measured.get(key))


def disagreements(verdicts: Mapping[str, Counter[str]]) -> Iterator[str]:
    """Experiments whose runs did not all end alike."""
    for name, counts in sorted(verdicts.items()):
        if len(counts) > 1:
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
    found: dict[str, Series] = {}
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    with TemporaryDirectory(prefix="bench-drill-") as scratch:
        place = (asked.keep or Path(scratch)).resolve()
        environ = os.environ | {"LAB_STATE": f"{scratch}/lab", "MUSTER_STATE": f"{scratch}/muster"}
        environ.pop("MUSTER_RUN", None)
        subprocess.run([*MUSTER, "lab", "up"], env=environ, check=True, capture_output=True)
        try:
            for which in asked.sets:
                for number in range(1, asked.runs + 1):
                    took, documents = drill(which, place / f"{which}-{number}", environ)
                    found.setdefault(f"`muster drill {which}`, lab running", Series(SETS[which])).add(took)
                    collect(found, documents)
                    for name, document in documents.items():
                        verdicts[f"{which}/{name}"][document["verdict"]] += 1
                    said = ", ".join(f"{name} {document['verdict']}" for name, document in documents.items())
                    print(f"{which} {number} of {asked.runs}: {took:.1f} s; {said}", file=sys.stderr)
        finally:
            subprocess.run([*MUSTER, "lab", "down"], env=environ, check=False, capture_output=True)
    return tables(found, verdicts, asked.runs)


def tables(found: Mapping[str, Series], verdicts: Mapping[str, Counter[str]], runs: int) -> int:
    """Print what was found; 0 when every promise was kept and every run ended alike."""
    print("| what | runs | median | least to most | promise | |\n| --- | --- | --- | --- | --- | --- |")
    for name, series in sorted(found.items()):
        print(series.row(name))
    apart = list(disagreements(verdicts))
    passed = sum(counts["PASS"] == counts.total() for counts in verdicts.values())
    print(f"\n{runs} runs in a row of each set: {passed} of {len(verdicts)} experiments passed each time.")
    print("\n".join(f"Not the same verdicts: {line}." for line in apart) or "The same verdicts each time.")
    return int(bool(apart) or not all(series.kept for series in found.values()))


if __name__ == "__main__":
    sys.exit(main())
