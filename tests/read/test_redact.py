"""Secrets never reach an output: by their key, by their shape, and by themselves."""

import json

import pytest

from muster.read.redact import Redactor, known_secrets
from muster.system.environment import Environment

PAGER_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PLANTED = [
    ("https://muster:hunter2@prometheus:9090/api refuses connections", "hunter2"),
    ("GET /metrics Authorization: Bearer s3cr3t.T0ken-1", "s3cr3t"),
    ("authorization: Basic bXVzdGVyOmh1bnRlcjI=", "bXVzdGVyOmh1bnRlcjI"),
    ("the server wants bearer abc123.def456", "abc123"),
    ("DB_PASSWORD=hunter2; retrying", "hunter2"),
    ('{"routing_key": "R0UT1NG", "event_action": "trigger"}', "R0UT1NG"),
    ('quoted {\\"password\\": \\"two words\\"}', "two words"),
    ("https://host/x?access_token=AbC123&page=2", "AbC123"),
    ("sent eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtdXN0ZXIifQ.c2lnbmF0dXJl", "eyJzdWIi"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQ\n-----END RSA PRIVATE KEY-----\nand more", "MIIEowIBAAKCAQ"),
    ("cut off -----BEGIN PRIVATE KEY----- MIIEvQIBADANBg", "MIIEvQIBADANBg"),
    ("posted to https://hooks.slack.com/services/T000/B000/XXXXyyyy", "XXXXyyyy"),
    ("xoxb-123456789012-abcdef", "123456789012"),
    (f"page refused for {PAGER_KEY}", PAGER_KEY),
]


@pytest.mark.parametrize(("text", "secret"), PLANTED, ids=[secret[:12] for _, secret in PLANTED])
def test_a_secret_in_a_text_is_replaced_and_stays_so(text, secret):
    """By its shape, or because it is one that is known; redacting again changes nothing more."""
    redactor = Redactor([PAGER_KEY])
    once = redactor.text(text)
    assert secret not in once
    assert "[redacted]" in once
    assert redactor.text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "x0tta6bl4/lab error_ratio 15% > 10% over 5s (rollback; on-call runbook / High Error Rate)",
        "kubernetes: the token has expired",
        "https://prometheus:9090/api/v1/rules refuses connections",
        "secret_file: /etc/alertmanager/secrets/on-call",
        "bearer authentication is needed",
        'sum(rate(x0tta6bl4_requests_total{status=~"5..",namespace="a"}[1m]))',
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text):
    """A sentence that says what is wrong must still say it."""
    assert Redactor([PAGER_KEY]).text(text) == text


def test_in_json_the_key_tells():
    """Also a variable's name beside its value, and a key in PEM that is spread over the lines of a log."""
    lines = ["before", "x -----BEGIN EC PRIVATE KEY-----", "MIIabc", "-----END EC PRIVATE KEY----- after", "later"]
    kept = Redactor().json(
        {
            "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LOG_LEVEL", "value": "info"}],
            "headers": {"Authorization": "Bearer x"},
            "secret": {"name": "pager"},
            "logs": lines,
            "ready": True,
        }
    )
    text = json.dumps(kept)
    assert not [secret for secret in ("hunter2", "Bearer", "MIIabc") if secret in text]
    assert (kept["env"][1]["value"], kept["secret"]["name"], kept["ready"]) == ("info", "pager", True)
    assert [kept["logs"][0], kept["logs"][3][-6:], kept["logs"][4]] == ["before", " after", "later"]


def test_what_secret_files_hold_is_known(tmp_path):
    """Those of contacts, responder and sources; one that cannot be read holds nothing that could leak."""
    (tmp_path / "pager").write_text(PAGER_KEY + "\n")
    (tmp_path / "responder").write_text("s3cr3t-of-the-responder")
    (tmp_path / "bearer").write_text("b3ar3r-of-prometheus")
    environment = Environment.model_validate(
        {
            "description": "",
            "prometheus": "http://prometheus",
            "token_files": {"prometheus": str(tmp_path / "bearer")},
            "responder_token_file": str(tmp_path / "responder"),
            "contacts": {
                "on-call": {"kind": "pagerduty", "url": "http://p", "secret_file": str(tmp_path / "pager")},
                "cto": {"kind": "pagerduty", "url": "http://p", "secret_file": str(tmp_path / "none")},
            },
        }
    )
    assert sorted(known_secrets(environment)) == sorted([PAGER_KEY, "s3cr3t-of-the-responder", "b3ar3r-of-prometheus"])


def test_a_secret_in_a_home_that_nobody_has_is_none():
    """As of any file that cannot be read."""
    contact = {"kind": "pagerduty", "url": "http://p", "secret_file": "~no-such-user/key"}
    environment = Environment.model_validate({"name": "a", "description": "b", "contacts": {"on-call": contact}})
    assert known_secrets(environment) == []
