"""Whole runs against real servers: what stalls shows, who is lost is noticed, what dies is timed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from hostile import READ, Hostile

from muster.judge import generator, knee
from muster.judge.load import judge
from muster.judge.seconds import Step
from muster.load import plan as plans
from muster.load import session
from muster.load.run import free_port
from muster.verdict import Verdict
from muster.wait import wait_until

CHECKOUT = Path(__file__).parents[2]


def plan_of(system, env, rate, duration_s, **more):
    steps = [Step(duration_s=duration_s, first=rate, last=rate)]
    return plans.make(system, env, steps, users=10, **more)


def missed(second):
    """What was due, and what of it the generator did not send in time by its own doing."""
    return second.offered, second.late + second.dropped - second.held_dropped


def undisturbed(begin, folder, steady):
    """A run in which neither the generator stood still, by its own word, nor the page, by ``steady(run)``.

    The last of three, if all were disturbed.
    """
    for number in range(3):
        (folder / str(number)).mkdir()
        run = begin(folder / str(number))
        offered, own = (sum(values) for values in zip(*map(missed, run.seconds), strict=True))
        calm = own <= generator.MOST_MISSED * offered and all(second.stalled_ms < 300 for second in run.seconds)
        if calm and steady(run):
            break
    return run


def test_a_stalled_server_shows_as_long_as_it_stalls(system, env_at, page, tmp_path):
    """Frozen 1 s in every 4: P95 from the intended time is the analytic 0.8 s; every request was sent, none late.

    A quarter of the requests wait for 1 s at most, evenly: 5% of all is a fifth of those, so P95 is 1 s times 4/5. Most
    of them wait for one of 50 users, not for the server: that changes nothing.
    """
    url, _ = page(period_s=4.0, stall_s=1.0)
    env = env_at(url)
    plan = plans.make(system, env, [Step(duration_s=8.0, first=200.0, last=200.0)])

    def steady(run):  # what stands still besides makes it longer, never shorter
        return judge(run, system).latency_ms["p95"] < 920 and not any(second.dropped for second in run.seconds)

    run = undisturbed(lambda folder: session.run(env, plan, folder), tmp_path, steady)
    judged = judge(run, system)
    every = [second for second in run.seconds if second.at >= run.began]
    assert sum(second.offered for second in every) == 1600 == sum(second.requests for second in every)
    assert judged.latency_ms["p95"] == pytest.approx(800, rel=0.15)  # cut periods at both ends; the benchmark has 5%
    assert next(f for f in judged.findings if f.check == "load.latency").verdict is not Verdict.PASS


def test_a_crowded_server_is_served_as_it_can_and_the_climb_ends_when_it_is_over(system, env_at, page, tmp_path):
    """Full at 360/s with 50 users, a third of that with 1,000: 800/s are offered, and it goes on serving what it can.

    Two steps that were served under 90% end the run, whatever else was planned, and the knee is the step before.
    """
    url, _ = page("crowded.py")
    env = env_at(url)
    steps = [
        Step(duration_s=d, first=rate, last=rate) for d, rate in ((3, 200.0), (4, 800.0), (3, 900.0), (60, 1000.0))
    ]
    plan = dataclasses.replace(plans.make(system, env, steps, users=50), most_users=1000)

    def steady(run):  # the first step is nothing to it
        return "200/s" not in run.enough

    run = undisturbed(lambda folder: session.run(env, plan, folder, shown=knee.broken), tmp_path, steady)
    crowded = run.within(3, 10)
    assert run.enough == "the climb was ended: less than 90% of 800/s and of 900/s was served"
    assert len(run.seconds) < 20
    assert max(second.users for second in run.seconds) <= 200
    assert sum(second.requests for second in crowded) / len(crowded) > 240, "it serves 106/s to a thousand users"
    assert sum(second.held + second.held_dropped for second in crowded) > 500
    assert run.enough in judge(run, system, kind="step").findings[0].message


def test_a_lost_worker_makes_it_unknown(system, env_at, page, tmp_path):
    """One master, three workers, one killed: the run goes on, is UNKNOWN, and says how many were lost."""
    url, _ = page()
    env = env_at(url)
    began = []

    def begun(load):
        began.append(load)

    def told(second):
        if second.reports == 3 and len(began) == 1:
            os.kill(began[0].worker_pids[1], signal.SIGKILL)
            began.append("killed")

    run = session.run(env, plan_of(system, env, 90.0, 7.0), tmp_path, workers=3, told=told, on_start=begun)
    assert {second.workers for second in run.seconds} == {3}
    assert began[1:] == ["killed"], "no second came from all three"
    assert run.full[-1].reports == 2
    assert "1 of 3 workers were lost" in generator.trouble(run, run.full, latency_limit_s=0.1)
    finding = next(f for f in judge(run, system).findings if f.check == "load.generator")
    assert finding.verdict is Verdict.UNKNOWN
    wait_until(
        lambda: any(psutil.pid_exists(pid) for pid in began[0].worker_pids),
        lambda alive: not alive,
        what="the workers' end",
        timeout_s=30,
    )


def document(folder):
    (run,) = [path for path in (folder / "reports").iterdir() if not path.is_symlink()]
    return run, json.loads((run / "load.json").read_text(encoding="utf-8"))


def test_a_host_that_dies_is_a_failure_with_its_second(muster, page, tmp_path):
    """The server is killed in mid-run: exit code 1, load.json says when, and all outputs are there."""
    url, server = page()
    command = muster(url, "smoke", "--rate", "100", "--duration", "12s")
    figures = wait_until(
        lambda: list(tmp_path.glob("reports/*/load-figures.jsonl")), bool, what="a run folder", timeout_s=90
    )[0]

    def served():
        lines = [json.loads(line) for line in figures.read_text().splitlines() if line.endswith("}")]
        return [line["at"] for line in lines if line["requests"] > line["errors"]]

    seen = wait_until(served, lambda seconds: len(seconds) >= 4, what="four seconds", timeout_s=90)
    server.kill()
    killed_at = time.time()
    output, _ = command.communicate(timeout=300)
    assert command.returncode == 1, output
    run, body = document(tmp_path)
    assert (body["schema"], body["verdict"], body["partial"]) == ("muster/load/v1", "FAIL", "")
    began = next(second["at"] for second in body["seconds"] if second["offered"])
    died_at, failed_at = began + body["died_s"], began + body["first_failure_s"]
    assert seen[-1] < failed_at <= killed_at + 5  # Locust may take its answers late
    assert seen[-1] < died_at <= failed_at + 1  # it may die within a second
    assert "refused the connection" in output
    assert {"summary.json", "junit.xml", "load.png", "latencies.png", "allure-results"} <= {
        file.name for file in run.iterdir()
    }
    results = [json.loads(file.read_text()) for file in (run / "allure-results").glob("*-result.json")]
    failed = [result for result in results if result["status"] == "failed"]
    assert {shown["name"] for shown in failed[0]["attachments"]} >= {"load.json", "distribution of latencies"}
    assert all(
        (run / "allure-results" / shown["source"]).is_file() for r in results for shown in r.get("attachments", [])
    )


def test_a_rate_that_the_machine_cannot_offer_is_unknown_and_says_what_it_could(muster, page, tmp_path):
    """50,000/s from one process of a generator to a server in Python: exit code 6, what it sent, and no failure."""
    url, _ = page()
    command = muster(url, "smoke", "--rate", "50000/s", "--duration", "3s")
    output, _ = command.communicate(timeout=300)
    assert command.returncode == 6, output
    _, found = document(tmp_path)
    assert found["verdict"] == "UNKNOWN"
    verdicts = {finding["check"]: finding for finding in found["findings"]}
    assert "FAIL" not in {finding["verdict"] for finding in found["findings"]}, output
    said = verdicts["load.generator"]["message"]
    assert said.startswith("this run proves nothing: ")
    sent = int(re.search(r"\(it sent ([\d,]+) of 50,000/s\)", said)[1].replace(",", ""))
    assert 0 < sent < 49_500


def test_ctrl_c_keeps_what_was_measured_and_marks_it_partial(muster, page, tmp_path):
    """SIGINT after some seconds: exit code 130, a load.json that says so, never a PASS."""
    url, _ = page()
    command = muster(url, "smoke", "--rate", "50", "--duration", "60s")
    figures = wait_until(
        lambda: list(tmp_path.glob("reports/*/load-figures.jsonl")), bool, what="a run folder", timeout_s=90
    )[0]
    wait_until(lambda: len(figures.read_text().splitlines()), lambda n: n >= 3, what="three seconds", timeout_s=90)
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=90)
    assert command.returncode == 130, output
    _, body = document(tmp_path)
    assert body["partial"] == "it was interrupted"
    assert body["verdict"] in {"UNKNOWN", "FAIL"}
    assert len(body["seconds"]) >= 3
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("url", "guard", "code", "words"),
    [
        ("http://127.0.0.1:1", "{allow_load: true}", 1, "refuses connections; no load was sent"),
        (
            "http://nowhere.invalid",
            "{allow_load: true, load: {most_rate: 10000/s, most_time: 10m}}",
            1,
            "no such host",
        ),
        ("http://staging.example", "{allow_load: true}", 4, "bounds no load"),
        ("http://127.0.0.1:1", "{allow_load: false}", 4, "does not allow load"),
    ],
)
def test_where_nothing_can_be_sent_there_is_a_sentence_and_no_statistics(muster, tmp_path, url, guard, code, words):
    """Down, unknown, not allowed: one sentence, no run folder."""
    command = muster(url, "smoke", guard=guard)
    output, _ = command.communicate(timeout=90)
    assert (command.returncode, words in output, "Traceback" in output) == (code, True, False), output
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("address", "trusted", "words"),
    [
        ("127.0.0.1", False, "unable to get local issuer certificate"),
        ("127.0.0.2", True, "not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_does_not_prove_the_host_ends_it_before_it_begins(
    muster, certificates, tmp_path, address, trusted, words
):
    """Of an unknown issuer, or of another's name: one sentence, exit code 1, nothing sent and no statistics."""
    with Hostile([READ, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], context=certificates(address)) as server:
        ca_file = certificates.ca_file if trusted else certificates.other_ca_file
        command = muster(server.url, "smoke", facts_of_it=f"ca_file: {ca_file}")
        output, _ = command.communicate(timeout=90)
    assert command.returncode == 1, output
    assert words in output
    assert "not trusted over TLS" in output or "certificate" in output
    assert "; no load was sent" in output
    assert "Traceback" not in output
    assert server.requests == []
    assert not (tmp_path / "reports").exists()


def test_an_answer_with_another_status_ends_it_before_it_begins(muster, web, tmp_path):
    """A wrong address that answers 404 is no system under load."""
    web.status = 404
    output, _ = (command := muster(web.url, "smoke")).communicate(timeout=90)
    assert command.returncode == 1
    assert "GET" in output
    assert "answered 404, the load mix expects 200; no load was sent" in output
    assert not (tmp_path / "reports").exists()


def test_plain_locust_with_its_web_ui_still_works(page):
    """The page is served, a run begins at the rate that is given there, and Locust's statistics count it."""
    url, _ = page()
    port = free_port()
    argv = [sys.executable, "-m", "locust", "-f", str(CHECKOUT / "loadtests" / "locustfile.py"), "--host", url]
    argv += ["--web-host", "127.0.0.1", "--web-port", str(port), "--loglevel", "WARNING"]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as locust:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                wait_until(
                    lambda: client.get("/").status_code,
                    lambda status: status == 200,
                    what="the web UI",
                    timeout_s=30,
                    tolerate=(httpx.HTTPError,),
                )
                form = {"user_count": "5", "spawn_rate": "5", "host": url, "rate": "40"}
                assert client.post("/swarm", data=form).json()["success"]
                total = wait_until(
                    lambda: client.get("/stats/requests").json()["stats"][-1]["num_requests"],
                    lambda count: count >= 80,
                    what="requests",
                    timeout_s=20,
                )
                assert total >= 80
        finally:
            locust.terminate()
            locust.wait(10)
