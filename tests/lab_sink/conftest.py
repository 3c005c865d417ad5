import pytest
from aiohttp.test_utils import TestClient, TestServer

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
