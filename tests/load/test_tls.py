"""The lean connection with TLS: kept sessions, their ends, and whose certificates it takes."""

from __future__ import annotations

import pytest
from driving import driver
from hostile import READ, Hostile

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def errors_of(result):
    return [outcome.get("error") for outcome in result["outcomes"]]


def test_tls_carries_kept_connections(drive, certificates):
    """Requests over one verified session; session tickets that come while idle are no bytes out of turn."""
    with Hostile([READ, OK, READ, OK[:-1], 0.05, OK[-1:]], context=certificates("127.0.0.1")) as server:
        result = drive(server.url, {}, {"pause_s": 0.1}, ca_file=certificates.ca_file)
    assert errors_of(result) == [None, None]
    assert (result["connected"], result["resent"]) == (1, 0)


def test_tls_that_is_closed_while_idle_is_made_anew(drive, certificates):
    """An orderly end between two requests is no error."""
    with Hostile([READ, OK], [READ, OK], context=certificates("127.0.0.1")) as server:
        result = drive(server.url, {}, {"method": "POST", "pause_s": 2.0}, ca_file=certificates.ca_file)
    assert errors_of(result) == [None, None]
    assert (result["connected"], result["resent"]) == (2, 0)


@pytest.mark.parametrize(
    ("address", "days", "trusted", "words"),
    [
        ("127.0.0.1", 1, False, "unable to get local issuer certificate"),
        ("127.0.0.2", 1, True, "certificate is not valid for '127.0.0.1'"),
        ("127.0.0.1", -1, True, "certificate has expired"),
    ],
)
def test_certificates_are_verified(drive, certificates, address, days, trusted, words):
    """Unknown issuer, another's name, expired: refused, nothing is sent."""
    with Hostile([READ, OK], context=certificates(address, days)) as server:
        result = drive(server.url, ca_file=certificates.ca_file if trusted else "")
    assert errors_of(result) == ["CertificateRefused"]
    assert words in result["outcomes"][0]["sentence"]
    assert server.requests == []


@pytest.mark.parametrize(("ragged", "error"), [(False, None), (True, "TlsFailed")])
def test_a_body_that_ends_with_the_connection_must_end_by_tls_itself(drive, certificates, ragged, error):
    """Without TLS's own closing somebody else may have cut it."""
    script = [READ, b"HTTP/1.1 200 OK\r\n\r\nhalf?"]
    with Hostile(script, context=certificates("127.0.0.1"), ragged=ragged) as server:
        result = drive(server.url, ca_file=certificates.ca_file)
    assert errors_of(result) == [error]


def test_tls_to_a_plain_port(drive):
    """A server that speaks no TLS is a TLS error, not a hanging."""
    with Hostile([b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as server:
        result = drive(server.url.replace("http:", "https:"))
    assert errors_of(result) == ["TlsFailed"]


def test_a_ca_file_is_trusted_beside_the_systems_authorities(certificates, monkeypatch):
    """As an environment's ca_file is everywhere: whom the system vouches for is trusted with another's file, too."""
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)  # OpenSSL's own place of the system's authorities
    with driver() as drive, Hostile([READ, OK], context=certificates("127.0.0.1")) as server:
        result = drive(server.url, ca_file=certificates.other_ca_file)
    assert errors_of(result) == [None]
    monkeypatch.setenv("SSL_CERT_FILE", certificates.other_ca_file)
    with driver() as drive, Hostile([READ, OK], context=certificates("127.0.0.1")) as server:
        result = drive(server.url, ca_file=certificates.other_ca_file)
    assert errors_of(result) == ["CertificateRefused"]


def test_a_ca_file_that_cannot_be_read_is_refused(drive, tmp_path):
    """Said before anything is sent."""
    assert "cannot be used" in drive("https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem"))["refused"]
