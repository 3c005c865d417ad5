import contextlib
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import httpx
import pytest
from aiohttp.test_utils import TestClient, TestServer
from ports import free_port

from lab.api import pki
from lab.sink.server import Sink

CONTACTS = {"on-call": "a" * 32, "security": "b" * 32}


@pytest.fixture
def state(tmp_path):
    """A state folder with two contacts' keys."""
    (tmp_path / "pager-keys").mkdir()
    for contact, key in CONTACTS.items():
        (tmp_path / "pager-keys" / contact).write_text(key)
    return tmp_path


@pytest.fixture
def serve(state):
    """A context: a client of a sink on the state folder. Use it twice and the sink was restarted."""
    return lambda: TestClient(TestServer(Sink(state).application()))


@pytest.fixture
def trigger():
    """An event as Alertmanager's PagerDuty receiver writes it."""
    return {
        "routing_key": CONTACTS["on-call"],
        "dedup_key": "d-1",
        "event_action": "trigger",
        "client": "Alertmanager",
        "payload": {
            "summary": "15% of requests fail",
            "source": "Alertmanager",
            "severity": "critical",
            "custom_details": {"firing": "Labels:\n - alertname = TooManyErrors\n - pod = a\n", "num_firing": "1"},
        },
    }


@pytest.fixture
def secrets():
    return list(CONTACTS.values())


def eventually(condition, what, timeout_s=30.0):
    """What a condition returned when it held; a refused connection is not yet."""
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(httpx.TransportError):
            if found := condition():
                return found
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


@pytest.fixture(name="eventually")
def _eventually():
    return eventually


@pytest.fixture
def started(tmp_path):
    """Starts programs that end with the test; their output is in a file of their name."""
    with contextlib.ExitStack() as ends:

        def start(name, *argv, **environment):
            log = ends.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(argv, stdout=log, stderr=log, env=os.environ | environment)
            ends.callback(process.wait, 10)
            ends.callback(process.terminate)
            return process

        yield start


@pytest.fixture
def sink(state, started):
    """A sink as a process, as the lab starts it: ``url``, ``smtp_port``, ``messages()``."""
    pki.make(state, 6443)
    (state / "smtp-password").write_text("s3cret")
    port, smtp_port = free_port(), free_port()
    started(
        "sink", sys.executable, "-m", "lab.sink", "--state", state, "--port", str(port), "--smtp-port", str(smtp_port)
    )
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: httpx.get(f"{url}/healthz", trust_env=False).status_code == 200, "the sink serves")
    return SimpleNamespace(
        url=url,
        port=port,
        smtp_port=smtp_port,
        state=state,
        messages=lambda: httpx.get(f"{url}/inbox", trust_env=False).json()["messages"],
    )
