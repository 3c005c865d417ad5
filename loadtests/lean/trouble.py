"""The operating system's errors in our words: one class and one sentence each."""

from __future__ import annotations

import errno
import os
import ssl

from .errors import (
    CertificateRefused,
    ClosedEarly,
    ConnectFailed,
    ConnectionReset,
    ConnectRefused,
    ConnectTimeout,
    GeneratorExhausted,
    TlsFailed,
    WireError,
)

_EXHAUSTED = {
    errno.EMFILE: "file descriptors (ulimit -n)",
    errno.ENFILE: "file descriptors",
    errno.EADDRNOTAVAIL: "local ports",
    errno.EAGAIN: "local ports",  # what connect() says for some families
    errno.ENOBUFS: "network buffers",
    errno.ENOMEM: "memory",
}


def connecting_failed(number: int, where: str) -> WireError:
    """Why there is no connection. ``number`` is the errno of connect() or socket()."""
    if number == errno.ECONNREFUSED:
        return ConnectRefused(f"{where} refused the connection")
    if number == errno.ETIMEDOUT:
        return ConnectTimeout(f"no connection to {where}: the network gave up")
    if number in _EXHAUSTED:
        return GeneratorExhausted(f"this machine has no {_EXHAUSTED[number]} left to connect to {where}")
    return ConnectFailed(f"no connection to {where}: {os.strerror(number)}")


def closed_early(error: OSError | None, where: str, request: str) -> WireError:
    """The end of a connection before the first byte of an answer; ``error`` is None if it was an orderly one."""
    if error is None:
        return ClosedEarly(f"{where} closed the connection before it answered {request}")
    return broken(error, where, f"before it answered {request}")


def broken(error: OSError, where: str, when: str) -> WireError:
    """A connection that broke, by the server's reset or by its TLS."""
    if isinstance(error, ssl.SSLError):
        return TlsFailed(f"the TLS session with {where} broke {when}: {tls_reason(error)}")
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return ConnectionReset(f"{where} reset the connection {when}")
    if error.errno in _EXHAUSTED:
        return GeneratorExhausted(f"this machine has no {_EXHAUSTED[error.errno]} left for {where}")
    return ConnectionReset(f"the connection to {where} broke {when}: {os.strerror(error.errno or 0)}")


def securing_failed(error: ssl.SSLError, where: str) -> WireError:
    """Why there is no TLS session on a connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateRefused(f"the certificate of {where} is refused: {error.verify_message}")
    return TlsFailed(f"no TLS session with {where}: {tls_reason(error)}")


def tls_reason(error: ssl.SSLError) -> str:
    """OpenSSL's reason in plain words."""
    if isinstance(error, ssl.SSLEOFError):
        return "the connection was closed without TLS's own closing"
    return (error.reason or error.strerror or "unknown reason").replace("_", " ").lower()
