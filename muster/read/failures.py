"""From whatever went wrong while reading to one typed :class:`~muster.snapshot.Failure`."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from muster.errors import MusterError
from muster.kube import KubeError
from muster.snapshot import Failure, FailureKind

_OF_STATUS = {401: FailureKind.FORBIDDEN, 403: FailureKind.FORBIDDEN, 404: FailureKind.NOT_FOUND}


class ReadError(Exception):
    """A reader gives up, with the typed reason."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message)


class BadAddressError(ValueError):
    """An address that nobody can be asked at."""


def explain(error: BaseException, source: str, deadline_s: float) -> Failure | None:
    """The typed failure behind an exception, or None when it is not a failure to read but a mistake of ours."""
    if isinstance(error, ReadError):
        return error.failure
    if isinstance(error, KubeError) and error.status:
        return Failure(_OF_STATUS.get(error.status, FailureKind.HTTP_STATUS), str(error))
    if isinstance(error, MusterError):
        return Failure(FailureKind.UNREACHABLE, str(error))
    if isinstance(error, BadAddressError):
        return Failure(FailureKind.UNREACHABLE, f"{source} is not an address that can be read: {error}")
    if isinstance(error, TimeoutError):
        return Failure(FailureKind.TIMEOUT, f"{source} did not answer within {deadline_s:g} s")
    if isinstance(error, OSError):
        return _explain_transport(error, source)
    if isinstance(error, LookupError | TypeError | AttributeError | ValueError):
        # What a reader runs into when an answer is JSON and yet not what the source's API gives.
        return Failure(FailureKind.UNPARSEABLE, f"{source} answers in another shape than it should: {_short(error)}")
    return None


def _short(error: BaseException) -> str:
    text = " ".join(repr(error).split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def _explain_transport(error: BaseException, source: str) -> Failure:
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or str(cause)
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = cause.verify_message
            return Failure(FailureKind.TLS, f"{source} is not trusted over TLS: {reason}")
        if isinstance(cause, ConnectionRefusedError):
            return Failure(FailureKind.REFUSED, f"{source} refuses connections")
        if isinstance(cause, socket.gaierror):
            return Failure(FailureKind.UNREACHABLE, f"{source}: no such host ({cause.strerror})")
    what = str(error) or type(error).__name__
    return Failure(FailureKind.UNREACHABLE, f"{source}: {what}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, what it groups, and what caused it, innermost last."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _chain(part)
    below = error.__cause__ or error.__context__
    if below is not None:
        yield from _chain(below)
