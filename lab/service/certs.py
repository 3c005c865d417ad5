"""The mesh certificate of a replica: self-made where none was mounted."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_BEFORE = dt.timedelta(hours=1)  # clocks differ, and an expired certificate was valid once


def ensure(root: Path, replica: str, address: str, valid_s: float) -> tuple[Path, Path]:
    """Return the paths of certificate and key under ``root``, made now if they are missing.

    One that is made runs out ``valid_s`` from now (negative: it has already) and is never renewed. Both files appear at
    once (a folder renamed into place): replicas that share a folder never see half a pair.
    """
    certificate, key = root / "tls.crt", root / "tls.key"
    if certificate.is_file() and key.is_file():
        return certificate, key
    root.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".certs-", dir=root.parent))
    try:
        _write_pair(made, replica, address, dt.timedelta(seconds=valid_s))
        made.rename(root)  # onto nothing or an empty folder; anything else was made by somebody faster
    except OSError:
        if not (certificate.is_file() and key.is_file()):
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return certificate, key


def expiry(certificate: Path) -> float:
    """When a certificate runs out, seconds since the epoch.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no certificate.
    """
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()


def _write_pair(folder: Path, replica: str, address: str, valid_for: dt.timedelta) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, replica[:64])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + valid_for)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(replica), x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    folder.chmod(0o755)
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    with os.fdopen(os.open(folder / "tls.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
