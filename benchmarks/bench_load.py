"""Measures the load run: the whole lab at its target, its knee, and what a server that stalls is reported as.

Prints Markdown for docs/benchmarks.md: ``.venv/bin/python benchmarks/bench_load.py [target|step|stall|drill ...]``.
Wants an idle machine of two cores; the lab, its Prometheus and the generator share them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CHECKOUT = Path(__file__).resolve().parents[1]
STALLING = CHECKOUT / "tests" / "load" / "stalling.py"
PERIOD_S, STALL_S, RATE, TIME_S = 10.0, 2.0, 200, 40
ANALYTIC_MS = 1000 * STALL_S * (1 - 0.05 * PERIOD_S / STALL_S)  # a fifth waits up to 2 s, evenly; 5% is a quarter of it
CLOSED = """
from locust import FastHttpUser, constant_throughput, task


class Caller(FastHttpUser):
    wait_time = constant_throughput(10)

    @task
    def ask(self):
        self.client.get("/")
"""


def muster(folder: Path, *arguments: str) -> dict[str, object]:
    """``muster load``; what it leaves in load.json. Any verdict will do: the figures are shown with it."""
    argv = [sys.executable, "-m", "muster", "load", *arguments, "--run-dir", str(folder)]
    done = subprocess.run(argv, cwd=CHECKOUT, stdout=sys.stderr, timeout=600, check=False)
    if done.returncode not in {0, 1, 6}:
        sys.exit(f"{' '.join(argv)} ended with exit code {done.returncode}")
    body: dict[str, object] = json.loads((folder / "load.json").read_text(encoding="utf-8"))
    return body


def target(folder: Path) -> None:
    """6,800 requests a second for a minute against the whole lab."""
    body = muster(folder / "target", "target")
    served, missed, errors = body["achieved_rps"] / body["offered_rps"], body["missed_ratio"], body["errors"]
    row = {
        "offered/s": f"{body['offered_rps']:,.1f}",
        "served/s": f"{body['achieved_rps']:,.1f}",
        "missed": f"{missed:.3%}",
        "errors": errors,
        **{f"P{q}, ms": body[f"p{q}_ms"] for q in (50, 95, 99)},
        "service P95, ms": body["service_ms"]["p95"],
        "generator's core": f"{max(second['cpu'] for second in body['seconds']):.0%}",
        "verdict": body["verdict"],
    }
    print(f"| {' | '.join(row)} |\n|{' --- |' * len(row)}\n| {' | '.join(map(str, row.values()))} |\n")
    print(
        f"promised: served at least 99.9% of what was offered: **{served:.3%}**; missed under 0.1%: **{missed:.3%}**; "
        f"no error: **{errors}**; P95 under 10 ms: **{body['p95_ms']} ms**\n"
    )


def step(folder: Path) -> None:
    """Where the lab bends."""
    body = muster(folder / "step", "step")
    knee = body["knee"]
    print("| offered/s | served/s | P95, ms | errors | |\n| --- | --- | --- | --- | --- |")
    for one in knee["steps"]:
        p95 = "-" if one["p95_ms"] is None else f"{one['p95_ms']:,.1f}"
        print(f"| {one['rate']:,.0f} | {one['achieved_rps']:,.0f} | {p95} | {one['error_ratio']:.2%} | {one['why']} |")
    print(f"\nthe knee, promised at 12,000/s or more: **{knee['rate']:,.0f}/s**\n")


def drill(folder: Path) -> None:
    """The flagship drill while users come at the promised rate."""
    argv = [
        sys.executable,
        "-m",
        "muster",
        "drill",
        "--rate",
        "objective",
        "bad-release",
        "--run-dir",
        str(folder / "drill"),
    ]
    subprocess.run(argv, cwd=CHECKOUT, stdout=sys.stderr, timeout=600, check=False)
    body = json.loads((folder / "drill/experiments/bad-release/timeline.json").read_text(encoding="utf-8"))
    measured, seconds = body["measured"], [event for event in body["events"] if event["kind"] == "traffic"]
    row = {
        "served/s": f"{statistics.mean(second['data']['requests'] for second in seconds):,.0f}",
        "best second": f"{max(second['data']['requests'] for second in seconds):,}",
        "never sent": f"{measured['user_unsent']:,} of {measured['user_due']:,}",
        "failed": f"{measured['user_error_ratio']:.2%}",
        "worst P95, ms": f"{measured['worst_p95_ms']:,.0f}",
        "webhook to proof, s": measured["rollback_s"],
        "verdict": body["verdict"],
    }
    print(f"| {' | '.join(row)} |\n|{' --- |' * len(row)}\n| {' | '.join(map(str, row.values()))} |\n")
    promised, least = body["expected"]["load"]["rate"], min(second["data"]["requests"] for second in seconds)
    below = sum(second["data"]["requests"] < 0.99 * promised for second in seconds)
    print(
        f"promised: users at {promised:,}/s throughout: **{row['served/s']}/s**, {least:,}/s in the worst second, "
        f"{below} of {len(seconds)} seconds more than 1% below\n"
    )


def stall(folder: Path) -> None:
    """A server frozen 2 s in every 10: what is reported by whom."""
    with stalling() as url:
        ours = stalled(folder, url)
    with stalling() as url:
        closed_ms, closed_rps = closed(folder, url)
    print("| | requests/s, of 200 | P95, ms | of the analytic value |\n| --- | --- | --- | --- |")
    print(f"| analytic | 200 | {ANALYTIC_MS:,.0f} | |")
    print(f"| muster load | {ours[1]:,.1f} | {ours[0]:,.0f} | {ours[0] / ANALYTIC_MS:.1%} |")
    print(f"| stock Locust (FastHttpUser) | {closed_rps:,.1f} | {closed_ms:,.0f} | {closed_ms / ANALYTIC_MS:.1%} |")
    off = abs(ours[0] / ANALYTIC_MS - 1)
    print(f"\nP95 within 5% of the analytic value, promised: **{off:.1%} off**\n")


def stalled(folder: Path, url: str) -> tuple[float, float]:
    """Ours: P95 in ms over whole periods, and requests/s."""
    from muster.judge.seconds import Step, latency, percentile_ms
    from muster.load import plan as plans
    from muster.load import session
    from muster.system import load_system
    from muster.system.environment import Environment, Guard

    system = load_system("x0tta6bl4")
    env = Environment(name="stalling", description="frozen", http=url, guard=Guard(allow_load=True))
    plan = plans.make(system, env, [Step(duration_s=TIME_S, first=RATE, last=RATE)])
    run = session.run(env, plan, folder / "stall")
    return percentile_ms(latency(run.seconds), 95) or 0.0, statistics.mean(s.requests for s in run.full)


def closed(folder: Path, url: str) -> tuple[float, float]:
    """Stock Locust, 20 users that want 10 requests a second each: its own P95 and rate."""
    file = folder / "closed.py"
    file.write_text(CLOSED, encoding="utf-8")
    argv = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "-u", "20", "-r", "20", "--host", url]
    argv += ["-t", f"{TIME_S}s", "--csv", str(folder / "closed"), "--loglevel", "WARNING"]
    subprocess.run(argv, stdout=subprocess.DEVNULL, timeout=TIME_S + 60, check=False)
    *_, last = (folder / "closed_stats.csv").read_text(encoding="utf-8").splitlines()
    head = (folder / "closed_stats.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    told = dict(zip(head, last.split(","), strict=True))
    return float(told["95%"]), float(told["Requests/s"])


@contextmanager
def stalling() -> Iterator[str]:
    """The server, frozen ``STALL_S`` of each ``PERIOD_S``."""
    from muster.load.ports import free_port

    port = free_port()
    argv = [sys.executable, str(STALLING), str(port), str(PERIOD_S), str(STALL_S)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def main() -> None:
    """What is asked for, by default everything."""
    parts = {"target": target, "step": step, "stall": stall, "drill": drill}
    wanted = sys.argv[1:] or list(parts)
    if unknown := [name for name in wanted if name not in parts]:
        sys.exit(f"there is no part {unknown[0]!r}; known: {', '.join(parts)}")
    with TemporaryDirectory() as folder:
        os.environ.setdefault("NO_COLOR", "1")
        for name in wanted:
            parts[name](Path(folder))


if __name__ == "__main__":
    main()
