"""Measures HTTP clients side by side: Locust's users, ours, a bare gevent loop and wrk, each alone on one core.

The server is HAProxy with a fixed answer, on another core. Rounds are interleaved, so that a busy neighbour hurts all
alike; CPU time per request is the fairer figure on a shared machine. Prints one Markdown table for docs/benchmarks.md:
``.venv/bin/python benchmarks/bench_clients.py [ROUNDS [SECONDS]]``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from muster.wait import wait_until

CONTENDERS = Path(__file__).resolve().parents[1] / "loadtests" / "contenders.py"
CONNECTIONS = 50
HAPROXY = """
global
  nbthread 1
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend page
  bind 127.0.0.1:{port}
  http-request return status 200 content-type application/json string '{{"status":"ok","page":"ping"}}'
"""


@dataclass(frozen=True)
class Figures:
    """One client, one round."""

    rate: float  # requests a second
    cpu_us: float  # of the client, per request

    @property
    def per_core(self) -> float:
        """Requests in one second of CPU time."""
        return 1e6 / self.cpu_us


@contextmanager
def page(core: int) -> Iterator[str]:
    """HAProxy on one core; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=port), encoding="utf-8")
        with subprocess.Popen(["taskset", "-c", str(core), "haproxy", "-db", "-f", str(config)]) as process:
            try:
                wait_until(
                    lambda: socket.socket().connect_ex(("127.0.0.1", port)),
                    lambda number: number == 0,
                    what="HAProxy listening",
                    timeout_s=10,
                )
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def python(core: int, seconds: float, *arguments: str) -> Figures:
    """A contender that measures itself."""
    done = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, *arguments],
        env=os.environ | {"MEASURED_S": str(seconds)},
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"requests"')]
    if not lines:
        sys.exit(f"{arguments} measured nothing: {done.stderr[-500:]}")
    told = json.loads(lines[-1])
    if told["errors"] or not told["requests"]:
        sys.exit(f"{arguments}: {told['errors']} of {told['requests']} requests failed; these are no figures")
    return Figures(told["requests"] / told["seconds"], told["cpu_s"] / told["requests"] * 1e6)


def locust(user: str, core: int, seconds: float, url: str) -> Figures:
    """One of the users under Locust, without its web UI."""
    users = str(CONNECTIONS)
    more = ("--headless", "--only-summary", "--loglevel", "WARNING", "-u", users, "-r", users, "--host", url)
    return python(core, seconds, "-m", "locust", "-f", str(CONTENDERS), user, *more)


def wrk(core: int, seconds: float, url: str) -> Figures:
    """The tool in C, for the distance."""
    argv = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", f"{url}/api/v1/ping"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    requests, rate = re.search(r"(\d+) requests in", output), re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not requests or not rate or "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"wrk: these are no figures: {output}")
    return Figures(float(rate[1]), (usage.ru_utime + usage.ru_stime) / int(requests[1]) * 1e6)


def middle(values: list[float], digits: int = 0) -> str:
    """Median (least to most)."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def main() -> None:
    """All rounds, then the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for the server, one for the client")
    clients = {
        "HttpUser": lambda url: locust("Http", cores[1], seconds, url),
        "FastHttpUser": lambda url: locust("FastHttp", cores[1], seconds, url),
        "LeanUser": lambda url: locust("Lean", cores[1], seconds, url),
        "bare gevent loop": lambda url: python(cores[1], seconds, str(CONTENDERS), url),
    }
    if shutil.which("wrk"):
        clients["wrk"] = lambda url: wrk(cores[1], seconds, url)
    found: dict[str, list[Figures]] = {name: [] for name in clients}
    with page(cores[0]) as url:
        for _ in range(rounds):
            for name, client in clients.items():
                found[name].append(client(url))
    print("| client, 50 connections on one core | requests/s | CPU per request, us | requests per CPU second |")
    print("| --- | --- | --- | --- |")
    for name, figures in found.items():
        rate, cpu_us = [one.rate for one in figures], [one.cpu_us for one in figures]
        print(f"| {name} | {middle(rate)} | {middle(cpu_us, 1)} | {middle([one.per_core for one in figures])} |")
    print(f"\n{promises(found)}")


def promises(found: dict[str, list[Figures]]) -> str:
    """What was promised of ours, and what was measured, by CPU time and by the clock."""
    core = {name: statistics.median(one.per_core for one in figures) for name, figures in found.items()}
    rate = {name: statistics.median(one.rate for one in figures) for name, figures in found.items()}
    ours, fast, bare = "LeanUser", "FastHttpUser", "bare gevent loop"
    return (
        f"{ours} against {fast}, promised at least 4: **{core[ours] / core[fast]:.1f}** by CPU time, "
        f"{rate[ours] / rate[fast]:.1f} by the clock. A {bare} against {ours}, promised at most 1.6: "
        f"**{core[bare] / core[ours]:.2f}** by CPU time, {rate[bare] / rate[ours]:.2f} by the clock."
    )


if __name__ == "__main__":
    main()
