"""The API's certificate authority, server certificate, admin token and kubeconfig in a lab's state folder."""

from __future__ import annotations

import base64
import json
import os
import secrets
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.api import clock

_YEARS = timedelta(days=3650)
_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def make(state: Path, port: int) -> None:
    """Make what is missing and leave what is there; the kubeconfig always names ``port``.

    Writes pki/ca.crt, pki/ca.key, pki/api.crt, pki/api.key, pki/sa.key (which signs tokens of service accounts), token
    and kubeconfig, keys and token with mode 0600.
    """
    folder = state / "pki"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not all((folder / name).is_file() for name in ("ca.crt", "ca.key", "api.crt", "api.key")):
        _certificates(folder)
    if not (folder / "sa.key").is_file():
        write_private(folder / "sa.key", _key_bytes(ec.generate_private_key(ec.SECP256R1())))
    token_file = state / "token"
    if not token_file.is_file() or not token_file.read_text().strip():
        write_private(token_file, secrets.token_urlsafe(32).encode())
    write_private(state / "kubeconfig", _kubeconfig(state, port).encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    def name(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    start = clock.now() - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _YEARS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _certificates(folder: Path) -> None:
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = (
        _builder("lab-ca", "lab-ca", authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    alternatives = [x509.DNSName(name) for name in _NAMES] + [x509.IPAddress(ip_address("127.0.0.1"))]
    leaf = (
        _builder("lab-api", "lab-ca", server)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    write_private(folder / "ca.key", _key_bytes(authority))
    write_private(folder / "api.key", _key_bytes(server))
    write_private(folder / "api.crt", leaf.public_bytes(serialization.Encoding.PEM))
    write_private(folder / "ca.crt", root.public_bytes(serialization.Encoding.PEM))


def _kubeconfig(state: Path, port: int) -> str:
    """JSON, which is YAML too."""
    authority = base64.b64encode((state / "pki" / "ca.crt").read_bytes()).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "lab-admin", "user": {"token": (state / "token").read_text().strip()}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab-admin", "namespace": "default"}}],
        "current-context": "lab",
    }
    return json.dumps(content, indent=2) + "\n"
