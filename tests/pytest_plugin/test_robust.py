"""A run whose world misbehaves: a reader that leaves, a full disk, a Ctrl-C, secrets where none should be."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "pytest", "--disable-plugin-autoload", "-p", "muster.pytest_plugin", "checks"]
SECRETS = {
    "in an address": "hunter2",
    "a bearer": "b3ar3r-T0ken",
    "a pager key": "R0UT1NGKEY",
    "a private key": "MIIEowIBAAKCAQEA7",
    "an assignment": "s3cr3t-value",
}


def test_whoever_reads_may_leave_and_the_verdict_stands(project, write_snapshot, readings):
    """``| head``: neither a traceback nor another exit code, for a pass as for a failure."""
    for code, ratio in ((0, 0.0), (1, 0.15)):
        readings["error_ratio"]["value"] = ratio
        write_snapshot(readings)
        read, write = os.pipe()
        os.close(read)
        command = [*COMMAND, "--snapshot", "snapshot.json", "--run-dir", "out", "-k", "few_requests_fail"]
        done = subprocess.run(command, cwd=project, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_cannot_be_said_is_no_success(project, write_snapshot, readings):
    """Standard output on a full disk: one sentence on standard error, and not exit code 0."""
    write_snapshot(readings)
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "--snapshot", "snapshot.json", "--run-dir", "out", "-k", "few_requests_fail"]
        done = subprocess.run(command, cwd=project, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "muster: standard output cannot be written: No space left on device\n"


def test_a_run_whose_outputs_cannot_be_kept_is_unknown(checks, write_snapshot, readings, project):
    """The table is shown all the same, with one sentence; evidence that does not exist proves nothing."""
    write_snapshot(readings)
    for name in ("junit.xml", "snapshot.json"):
        (project / "out" / name).mkdir(parents=True)  # stands in the way, as root too
    code, summary, output = checks("-k", "few_requests_fail")
    assert (code, summary["verdict"]) == (6, "UNKNOWN")
    assert "cannot be written" in summary["unwritten"]
    assert "not all outputs were kept: " in output
    assert "High error rate  ok 1" in output


def test_ctrl_c_while_reading_keeps_what_was_read(project):
    """The snapshot holds what had come in, says that it was interrupted, and judged again it is not green."""
    with socket.create_server(("127.0.0.1", 0)) as hangs, socket.create_server(("127.0.0.1", 0)) as answers:
        asked = threading.Event()

        def answer():
            client, _ = answers.accept()
            with client:
                client.recv(4096)
                body = b'{"status": "success", "data": {"activeAlertmanagers": [{"url": "http://a/api/v2/alerts"}]}}'
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                client.sendall(head + body)

        def hang():
            with hangs.accept()[0] as client:
                client.recv(4096)
                asked.set()
                client.recv(4096)  # until the other side goes

        threads = [threading.Thread(target=target, daemon=True) for target in (answer, hang)]
        for thread in threads:
            thread.start()
        ports = [server.getsockname()[1] for server in (hangs, answers)]
        here = f"  here:\n    description: d\n    http: http://127.0.0.1:{ports[0]}\n"
        here += f"    prometheus: http://127.0.0.1:{ports[1]}\n    alertmanager: http://127.0.0.1:{ports[0]}\n"
        facts = project / "systems" / "x0tta6bl4.yaml"
        facts.write_text(facts.read_text().rstrip() + "\n" + here)
        command = [*COMMAND, "--env", "here", "--run-dir", "out", "-k", "users_reach or tells_an_alertmanager"]
        with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
            assert asked.wait(20)
            threads[0].join(20)
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=20)[0]
    snapshot = json.loads((project / "out" / "snapshot.json").read_text())
    assert process.returncode == 2, output
    assert snapshot["interrupted"]
    assert "ingress_health" not in snapshot["readings"]
    assert json.loads((project / "out" / "summary.json").read_text())["verdict"] == "UNKNOWN"
    again = [*COMMAND, "--snapshot", "out/snapshot.json", "--run-dir", "again", "-k", "users_reach"]
    assert subprocess.run(again, cwd=project, capture_output=True, check=False).returncode == 6


def test_planted_secrets_reach_no_output(checks, write_snapshot, readings, project):
    """Not the snapshot, the summary, JUnit, Allure's results, nor the terminal, with -v and without."""
    plant(readings)
    (project / "checks" / "test_leaks.py").write_text(LEAKY)
    write_snapshot(readings, failures={"rules"})
    snapshot = (project / "snapshot.json").read_text()
    planted = snapshot.replace("rules is not there", f"https://u:{SECRETS['in an address']}@prometheus refuses")
    (project / "snapshot.json").write_text(planted)
    said = [checks(allure=True)[2], checks("-v")[2]]
    files = [file for file in (project / "out").rglob("*") if file.is_file()]
    found = {
        f"{what} in {name}"
        for what, secret in SECRETS.items()
        for name, text in [*((str(file), file.read_text()) for file in files), *enumerate(said)]
        if secret in text
    }
    assert found == set()
    assert len(files) > 40
    assert all("[redacted]" in text for text in said)


LEAKY = f"""
def test_raises(health):
    raise ConnectionError("https://u:{SECRETS["in an address"]}@host: Bearer {SECRETS["a bearer"]} was refused")

def test_asserts(health):
    print("-----BEGIN RSA PRIVATE KEY-----\\n{SECRETS["a private key"]}\\n-----END RSA PRIVATE KEY-----")
    said = "routing_key={SECRETS["a pager key"]}"
    assert said == "nothing", f"the pager was asked with {{said}}"
"""


def plant(readings):
    """Secrets where readings could bring some in: a header, a log line, a variable, a message."""
    lines = ["-----BEGIN RSA PRIVATE KEY-----", SECRETS["a private key"], "-----END RSA PRIVATE KEY-----"]
    for replica in readings["health"].values():
        replica["body"]["headers"] = {"Authorization": f"Bearer {SECRETS['a bearer']}"}
        replica["body"]["last_error"] = f"GET /x with bearer {SECRETS['a bearer']}"
        replica["body"]["env"] = [{"name": "DB_PASSWORD", "value": SECRETS["an assignment"]}]
        replica["body"]["log"] = [*lines, f"token={SECRETS['an assignment']}"]
    readings["pods"][0]["reason"] = f"routing_key: {SECRETS['a pager key']}"
