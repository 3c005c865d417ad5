"""The lean user under Locust itself: what its statistics, its web UI and its workers say is what the server saw."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from ports import free_port

from muster.wait import wait_until

LOCUSTFILE = Path(__file__).with_name("lean_locustfile.py")
TIMEOUT_S = 4.0  # for an answer; a busy machine must not make a quick one slow
SLOW_S = 20.0


@pytest.fixture(scope="module")
def server():
    """``.url`` and ``.seen``: how often each path was asked for."""
    seen = Counter()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen[self.path] += 1
            if self.path == "/slow":
                time.sleep(SLOW_S)
            status = {"/fine?page=1": 200, "/busy": 503, "/gone": 404}.get(self.path, 200)
            body = b"x" * 100
            head = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self.wfile.write(head + body)

        do_GET = do_POST = answer  # noqa: N815 - the server's own naming

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_):
            pass  # users that gave up waiting

    listening = Server(("127.0.0.1", 0), Handler)
    listening.seen, listening.url = seen, f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield listening
    listening.shutdown()
    listening.server_close()
    thread.join(5)


def locust(*arguments, each):
    """A running Locust with the users above."""
    return subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments],
        env={**os.environ, "LEAN_EACH": str(each), "LEAN_TIMEOUT_S": str(TIMEOUT_S)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


EXPECTED = {
    ("GET", "/fine"): (50, 0),
    ("POST", "/busy"): (50, 50),
    ("GET", "/gone"): (50, 0),
    ("GET", "/slow"): (50, 50),
    ("", "Aggregated"): (200, 100),
}
SENTENCES = {
    "UnexpectedStatus('POST /busy answered 503')": 50,
    "AnswerTimeout('{where} did not answer completely within 4 s')": 50,
}


def test_the_web_ui_shows_exactly_what_was_sent(server):
    """10 users, 20 requests each: counts, failures, names, lengths, times and sentences are right to the last one."""
    server.seen.clear()
    port = free_port()
    arguments = ("--host", server.url, "-u", "10", "-r", "10", "--autostart", "--web-host", "127.0.0.1")
    with locust(*arguments, "--web-port", str(port), each=20) as process:
        try:

            def stats():
                try:
                    return httpx.get(f"http://127.0.0.1:{port}/stats/requests", trust_env=False, timeout=5).json()
                except httpx.TransportError:
                    return {"stats": []}

            found = wait_until(
                stats,
                lambda told: told["stats"] and told["stats"][-1]["num_requests"] >= 200,
                what="all requests in the web UI",
                timeout_s=90,
            )
        finally:
            process.terminate()
            process.communicate(timeout=30)
    rows = {(row["method"] or "", row["name"]): row for row in found["stats"]}
    assert {key: (row["num_requests"], row["num_failures"]) for key, row in rows.items()} == EXPECTED
    assert server.seen == {"/fine?page=1": 50, "/busy": 50, "/gone": 50, "/slow": 50}
    assert rows["GET", "/fine"]["avg_content_length"] == rows["POST", "/busy"]["avg_content_length"] == 100
    assert rows["GET", "/slow"]["avg_content_length"] == 0
    assert 3999 <= rows["GET", "/slow"]["min_response_time"] <= 6000
    where = server.url.removeprefix("http://")
    told = {error["error"]: error["occurrences"] for error in found["errors"]}
    assert told == {sentence.format(where=where): count for sentence, count in SENTENCES.items()}


PLAIN = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "-u", "1"]


def test_a_plain_locust_goes_to_no_other_machine_unasked():
    """No guard stands between it and a foreign host; one that is named on purpose is somebody's word."""
    elsewhere = "http://192.0.2.1:9"  # of documentation: nobody is there
    argv = [*PLAIN, "--headless", "-t", "1s", "--host", elsewhere]
    environ = {name: value for name, value in os.environ.items() if name != "MUSTER_LOAD_HOST"}
    given = {"cwd": Path(__file__).parents[2], "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(argv, env=environ, check=False, **given)
    assert (done.returncode, "is not this machine" in done.stderr) == (4, True), done.stderr
    assert "Traceback" not in done.stderr
    named = subprocess.run(argv, env={**environ, "MUSTER_LOAD_HOST": elsewhere + "/"}, check=False, **given)
    assert "is not this machine" not in named.stderr


def test_the_host_that_is_typed_into_the_web_ui_is_asked_about_too():
    """It ends with the same sentence, before anything is sent."""
    port = free_port()
    argv = [*PLAIN, "--web-host", "127.0.0.1", "--web-port", str(port)]
    process = subprocess.Popen(argv, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)
    try:

        def swarm():
            try:
                form = {"user_count": "1", "spawn_rate": "1", "host": "http://192.0.2.1:9", "rate": "1"}
                httpx.post(f"http://127.0.0.1:{port}/swarm", data=form, trust_env=False, timeout=5)
            except httpx.TransportError:
                pass
            return process.poll()

        wait_until(swarm, lambda code: code is not None, what="the end of it", timeout_s=40)
        said = process.communicate(timeout=10)[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=10)
    assert (process.returncode, "is not this machine" in said) == (4, True), said


def test_a_wrong_host_is_one_sentence_and_exit_code_4():
    """Nothing is spawned, no statistics are printed, no traceback."""
    argv = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "-u", "1", "-t", "1s"]
    done = subprocess.run(
        [*argv, "--host", "ftp://127.0.0.1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4
    assert "'ftp://127.0.0.1' is not an http:// or https:// address" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Aggregated" not in done.stdout
