"""The lean connection with TLS: kept sessions, their ends, and whose certificates it takes."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hostile import READ, Hostile

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def errors_of(result):
    return [outcome.get("error") for outcome in result["outcomes"]]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """``context(name)`` -> a server's context for that name, signed by the CA in ``.ca_file``."""
    folder = tmp_path_factory.mktemp("tls")
    now = dt.datetime.now(dt.UTC)

    def build(subject, key, issuer, issuer_key, *, san=None, days=1):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.subject if issuer else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=5))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if san:
            builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = build("test CA", ca_key, None, ca_key)
    (folder / "ca.pem").write_bytes(pem(ca))

    def context(address, days=1):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = build("server", key, ca, ca_key, san=[x509.IPAddress(ipaddress.ip_address(address))], days=days)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "server.pem").write_bytes(pem(certificate) + secret)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(folder / "server.pem")
        return made

    context.ca_file = str(folder / "ca.pem")
    return context


def test_tls_carries_kept_connections(drive, certificates):
    """Requests over one verified session; session tickets that come while idle are no bytes out of turn."""
    with Hostile([READ, OK, READ, OK[:-1], 0.05, OK[-1:]], context=certificates("127.0.0.1")) as server:
        result = drive(server.url, {}, {"pause_s": 0.1}, ca_file=certificates.ca_file)
    assert errors_of(result) == [None, None]
    assert (result["connected"], result["resent"]) == (1, 0)


def test_tls_that_is_closed_while_idle_is_made_anew(drive, certificates):
    """An orderly end between two requests is no error."""
    with Hostile([READ, OK], [READ, OK], context=certificates("127.0.0.1")) as server:
        result = drive(server.url, {}, {"method": "POST", "pause_s": 0.2}, ca_file=certificates.ca_file)
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


def test_a_ca_file_that_cannot_be_read_is_refused(drive, tmp_path):
    """Said before anything is sent."""
    assert "cannot be used" in drive("https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem"))["refused"]
