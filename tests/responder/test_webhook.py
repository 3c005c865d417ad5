"""What Alertmanager sends is read; what it does not send is refused in a sentence."""

import copy

import pytest

from muster.responder.webhook import MalformedError, from_record, parse

PAYLOAD = {
    "version": "4",
    "status": "firing",
    "receiver": "responder",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Down", "action": "rollback"},
            "annotations": {},
            "startsAt": "2026-11-21T05:01:02.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": "c0ffee",
        }
    ],
}


def test_alert_is_known_by_fingerprint_and_start():
    """A repetition is the same occurrence; a new start is another."""
    (alert,) = parse(PAYLOAD)
    assert alert.key == "c0ffee@2026-11-21T05:01:02.123456789Z"
    assert (alert.name, alert.action, alert.firing) == ("Down", "rollback", True)


def test_audit_record_gives_the_alert_back():
    """What a crash left undecided is decided from it."""
    (alert,) = parse(PAYLOAD)
    assert from_record(alert.record()) == alert


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("version",), "3", "version 4"),
        (("alerts",), [], "at least one"),
        (("alerts",), [{}] * 201, "more than 200"),
        (("alerts", 0), "x", r"alerts\[0\] is not an object"),
        (("alerts", 0, "labels"), {"a": 1}, "object of strings"),
        (("alerts", 0, "labels"), {}, "no alertname"),
        (("alerts", 0, "status"), "burning", "neither firing nor resolved"),
        (("alerts", 0, "fingerprint"), "", "no fingerprint"),
        (("alerts", 0, "startsAt"), "yesterday", "RFC 3339"),
        (("alerts", 0, "startsAt"), None, "RFC 3339"),
    ],
)
def test_malformed_payload_is_refused_with_its_place(path, value, words):
    """Each says what is wrong and where."""
    payload = copy.deepcopy(PAYLOAD)
    place = payload
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(MalformedError, match=words):
        parse(payload)


@pytest.mark.parametrize("payload", [None, [], "4", 4])
def test_anything_but_an_object_is_refused(payload):
    """JSON that is no webhook at all."""
    with pytest.raises(MalformedError):
        parse(payload)
