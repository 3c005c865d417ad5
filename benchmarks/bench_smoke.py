"""Measures what smoke promises, each figure against its counterpart in the same run, on a lab of its own.

- smoke (all checks) against the bare start of pytest with the same plugins;
- the same with every source 50 ms away each way, and beside it a shell script of ten curls, one after the other;
- a deployment of 10, 100 and 1,000 pods (benchmarks/crowd.py), judged live, and its snapshot judged offline.

Prints Markdown tables of medians (least to most). Wants an otherwise idle machine:
``.venv/bin/python benchmarks/bench_smoke.py [ROUNDS]``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))  # far and crowd, beside this file

from crowd import Crowd
from far import Far

from muster.kube import Kube, load_access

SMOKE = [sys.executable, "-m", "muster", "smoke"]
BARE = [
    sys.executable, "-m", "pytest", "--disable-plugin-autoload", "-p", "allure_pytest", "-p", "muster.pytest_plugin",
    "-p", "no:cacheprovider", "-q",
]  # fmt: skip
DELAY_S = 0.05
SIZES = (10, 100, 1000)
PORTS = (8080, 9443)
Figures = dict[str, list[float]]


def timed(command: Sequence[str], environ: dict[str, str], allowed: tuple[int, ...] = (0,)) -> float:
    """Seconds of one command; it must end in one of the allowed codes."""
    began = time.monotonic()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode not in allowed:
        raise SystemExit(f"{' '.join(command)} ended in {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


def summary(folder: Path) -> str:
    """``61 checks: 58 pass, 1 warn, ...`` of a run, for the table's notes."""
    counts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["counts"]
    said = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    return f"{sum(counts.values())} checks: {said}"


def pods_of(endpoints: Path) -> list[str]:
    """The addresses of the lab's pods."""
    body = json.loads(endpoints.read_text(encoding="utf-8"))
    with Kube(load_access(body["kubeconfig"], "lab")) as kube:
        pods = kube.get("/api/v1/namespaces/x0tta6bl4-staging/pods", labelSelector="app=x0tta6bl4-staging")
    return [pod["status"]["podIP"] for pod in pods["items"]]


def curl_script(folder: Path, addresses: dict[str, str], pod: str) -> Path:
    """Ten checks as the runbook writes them: one curl after the other, each with its grep."""
    at, prometheus, alertmanager = f"http://{pod}:8080", addresses["prometheus"], addresses["alertmanager"]
    lines = [
        'set -u; failed=0; check() { curl -s -m 5 "$1" | grep -qE "$2" || { echo "not well: $1"; failed=1; }; }',
        f'check {at}/health \'"status": ?"(ok|healthy)"\'',
        f"check {at}/metrics '^x0tta6bl4_requests_total'",
        f"check {at}/metrics '^x0tta6bl4_request_duration_seconds'",
        f"check {at}/metrics '^process_resident_memory_bytes'",
        f"check {at}/security/pqc/status '\"fallback_enabled\": ?false'",
        f'check {at}/mesh/status \'"status": ?"connected"\'',
        f"check {at}/mesh/peers '\"alive\": ?true'",
        f'check {addresses["ingress"]}/health \'"status": ?"(ok|healthy)"\'',
        f'check {prometheus}/api/v1/targets \'"health": ?"up"\'',
        f"check {alertmanager}/api/v2/status '\"uptime\"'",
        "exit $failed",
    ]
    file = folder / "ten-checks.sh"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def measure(rounds: int, makers: dict[str, Callable[[], float]]) -> Figures:
    """Every figure once in each round, in turn, so that a slow moment hits them alike; a first round is not counted."""
    for make in makers.values():
        make()
    figures: Figures = {name: [] for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            figures[name].append(make())
    return figures


def show(title: str, figures: Figures, notes: dict[str, str]) -> None:
    """One Markdown table."""
    print(f"\n{title}\n\n| what | median | least to most | |\n| --- | --- | --- | --- |")
    for name, values in figures.items():
        middle, least, most = statistics.median(values), min(values), max(values)
        print(f"| {name} | {middle:.2f} s | {least:.2f} to {most:.2f} s | {notes.get(name, '')} |")


def difference(figures: Figures, name: str, of: str) -> str:
    """Median of the differences within each round."""
    found = statistics.median(a - b for a, b in zip(figures[name], figures[of], strict=True))
    return f"{found:+.2f} s over {of}"


def near_and_far(rounds: int, folder: Path, environ: dict[str, str]) -> None:
    """Smoke against pytest itself, and against curl, both near and far."""
    bare = folder / "bare"
    bare.mkdir()
    (bare / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    near, far = folder / "near", folder / "away"
    smoke = [*SMOKE, "--run-dir", str(near)]
    endpoints = Path(environ["LAB_STATE"]) / "endpoints.json"
    pods = pods_of(endpoints)
    with Far(endpoints, pods, PORTS, DELAY_S, folder / "proxies") as away:
        distant = {**environ, "LAB_ENDPOINTS": str(away.endpoints)}
        script = curl_script(folder, away.addresses, away.far(pods[0]))
        figures = measure(
            rounds,
            {
                "bare pytest": lambda: timed(
                    [*BARE, "--rootdir", str(bare), "--alluredir", str(bare / "allure"), str(bare)], environ
                ),
                "smoke": lambda: timed(smoke, environ, (0, 1, 6)),
                "smoke, 50 ms away": lambda: timed([*SMOKE, "--run-dir", str(far)], distant, (0, 1, 6)),
                "ten curls, 50 ms away": lambda: timed(["/bin/bash", str(script)], environ, (0, 1)),
            },
        )
    notes = {
        "smoke": f"{difference(figures, 'smoke', 'bare pytest')} (at most 0.7); {summary(near)}",
        "smoke, 50 ms away": f"{difference(figures, 'smoke, 50 ms away', 'smoke')} (at most 0.5); {summary(far)}",
        "ten curls, 50 ms away": "one after the other, as the runbook has them",
    }
    show(f"x0tta6bl4/lab, {rounds} rounds", figures, notes)


def crowds(rounds: int, folder: Path, environ: dict[str, str]) -> None:
    """Many pods: live, and the same snapshot judged offline."""
    figures: Figures = {}
    notes: dict[str, str] = {}
    for size in SIZES:
        live = folder / f"crowd-{size}"
        with Crowd(Path(environ["LAB_STATE"]) / "endpoints.json", size, folder / f"stand-in-{size}") as crowd:
            many = {**environ, "LAB_ENDPOINTS": str(crowd.endpoints)}
            found = measure(
                rounds,
                {
                    f"{size} pods": lambda many=many, live=live: timed(
                        [*SMOKE, "--run-dir", str(live)], many, (0, 1, 6)
                    ),
                    f"{size} pods, judged offline": lambda live=live: timed(
                        [*SMOKE, "--run-dir", str(live) + "-again", "--snapshot", str(live / "snapshot.json")],
                        environ,
                        (0, 1, 6),
                    ),
                },
            )
        figures |= found
        notes[f"{size} pods"] = summary(live)
    show("Many pods, stand-ins that answer as the lab's do", figures, notes)


def main() -> None:
    """Boot a lab, measure, end it."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    muster = SMOKE[:-1]
    with TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        environ = os.environ | {"LAB_STATE": str(folder / "lab"), "MUSTER_STATE": str(folder / "muster")}
        environ.pop("MUSTER_RUN", None)
        subprocess.run([*muster, "lab", "up"], env=environ, check=True, capture_output=True)
        try:
            near_and_far(rounds, folder, environ)
            crowds(max(1, rounds // 2), folder, environ)
        finally:
            subprocess.run([*muster, "lab", "down"], env=environ, check=False, capture_output=True)


if __name__ == "__main__":
    main()
