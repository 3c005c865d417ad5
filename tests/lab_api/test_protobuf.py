"""Protobuf bodies: what kubectl encodes is read back whole, and whatever else comes is refused in words."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.api import protobuf
from lab.api.protobuf import MAGIC, Malformed, Unread, decode

TABLE = Path(protobuf.__file__).with_name("protobuf.txt")
MEDIA = {"Content-Type": "application/vnd.kubernetes.protobuf"}


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def enveloped(version, kind, *fields):
    return MAGIC + field(1, field(1, version) + field(2, kind)) + field(2, b"".join(fields))


def test_the_table_is_whole():
    """Every message that the table names, for a kind or a field, stands in it."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    known = {line.partition(":")[0] for line in lines}
    named = {one.partition("=")[2] or one for line in lines if line[0] == "@" for one in line.split()[1:]}
    named |= {kind for line in lines for kind in re.findall(r":[\[{]?([A-Z]\w*)", line)}
    assert named <= known


def test_zero_counts_only_behind_a_pointer():
    """Go always writes plain fields, so empty ones say nothing; pointers are written when they are set."""
    metadata = field(1, "c") + field(2, "") + field(7, 0) + field(8, b"") + field(10, 0)
    read = decode(enveloped("v1", "ConfigMap", field(1, metadata), field(2, field(1, "k")), field(4, 0)))
    assert read == {
        "kind": "ConfigMap", "apiVersion": "v1", "data": {"k": ""}, "immutable": False,
        "metadata": {"name": "c", "deletionGracePeriodSeconds": 0},
    }  # fmt: skip
    options = decode(enveloped("apps/v1", "DeleteOptions", field(1, 0), field(4, "Orphan")))
    assert (options["gracePeriodSeconds"], options["propagationPolicy"]) == (0, "Orphan")


def test_special_messages():
    """Quantities, times, integers-or-strings, bytes and negative numbers have their JSON forms."""
    quota = decode(enveloped("v1", "ResourceQuota", field(2, field(1, field(1, "pods") + field(2, field(1, "10"))))))
    assert quota["spec"] == {"hard": {"pods": "10"}}
    secret = decode(enveloped("v1", "Secret", field(2, field(1, "p") + field(2, b"\xff"))))
    assert secret["data"] == {"p": "/w=="}
    named = field(1, field(1, "main") + field(11, field(1, field(2, field(2, field(1, 1) + field(3, "http"))))))
    budget = field(1, field(1, 0) + field(2, 1))
    assert decode(enveloped("policy/v1", "PodDisruptionBudget", field(2, budget)))["spec"] == {"minAvailable": 1}
    spec = field(1, (1 << 64) - 3) + field(3, field(2, field(2, named[2:])))
    web = decode(enveloped("apps/v1", "Deployment", field(1, field(8, field(1, 60))), field(2, spec)))
    assert (web["spec"]["replicas"], web["metadata"]["creationTimestamp"]) == (-3, "1970-01-01T00:01:00Z")
    container = web["spec"]["template"]["spec"]["containers"][0]
    assert container == {"name": "main", "readinessProbe": {"httpGet": {"port": "http"}}}


@pytest.mark.parametrize(
    "raw", [b"", b"{}", MAGIC + b"\x0a\xff", MAGIC + b"\x0b", enveloped("v1", "Secret", field(1, 7)),
            enveloped("v1", "ConfigMap", field(1, field(1, b"\xff"))), enveloped("v1", "Secret", b"\x0a\x05a")]
)  # fmt: skip
def test_what_is_no_message_is_malformed(raw):
    """No prefix, cut off, wrong wire types, no UTF-8."""
    with pytest.raises(Malformed):
        decode(raw)


def test_nothing_is_lost_silently():
    """A field that the table lacks may be blank, as Go writes it; with something in it, the body is refused."""
    spec = field(3, field(2, field(14, field(99, field(1, "")))))
    assert decode(enveloped("apps/v1", "Deployment", field(2, spec)))["spec"]["template"]["spec"] == {
        "securityContext": {}
    }
    with pytest.raises(Unread, match="field 1 of PodSpec"):
        decode(enveloped("apps/v1", "Deployment", field(2, field(3, field(2, field(1, field(1, "data")))))))
    with pytest.raises(Unread, match="batch/v1, Kind=Job"):
        decode(enveloped("batch/v1", "Job"))


@given(st.binary(max_size=60), st.sampled_from(["ConfigMap", "Secret", "Namespace", "ResourceQuota"]))
def test_no_bytes_raise_anything_else(raw, kind):
    """Whatever follows the envelope, the answer is data or one of the two refusals."""
    with suppress(Malformed, Unread):
        assert decode(MAGIC + field(1, field(1, "v1") + field(2, kind)) + field(2, raw))["kind"] == kind


def test_the_server_reads_it_and_answers_in_json(http, namespace):
    """A create as protobuf; 400 for what is broken, 415 for what is not read."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    sent = enveloped("v1", "ConfigMap", field(1, field(1, "c")), field(2, field(1, "a") + field(2, "1")))
    made = http.post(path, content=sent, headers=MEDIA)
    assert (made.status_code, made.json()["data"]) == (201, {"a": "1"})
    assert http.post(path, content=sent[:-1], headers=MEDIA).status_code == 400
    refused = http.post(path, content=enveloped("batch/v1", "Job"), headers=MEDIA)
    assert (refused.status_code, refused.json()["reason"]) == (415, "UnsupportedMediaType")
    path = f"{path}/c?propagationPolicy=Background"
    gone = http.request("DELETE", path, content=enveloped("v1", "DeleteOptions", field(1, 0)), headers=MEDIA)
    assert gone.json()["status"] == "Success"
