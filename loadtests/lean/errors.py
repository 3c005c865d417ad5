"""What can go wrong between a user and the system: one class for each kind, one sentence for each case.

Sentences hold nothing that differs from request to request (no port of ours, no time): Locust counts equal ones as one.
"""

# ruff: noqa: N818 - named for what happened: that is how they are counted and shown

from __future__ import annotations


class RequestRefused(ValueError):
    """A request or an address that must not or cannot be sent; said when it is made, not when it is sent."""


class WireError(Exception):
    """A request that got no acceptable answer. ``str(error)`` is one sentence."""


class NameNotResolved(WireError):
    """DNS knows no address for the host, or did not answer in time."""


class ConnectRefused(WireError):
    """Nobody listens there."""


class ConnectTimeout(WireError):
    """No connection, or no TLS session on it, within the time allowed."""


class ConnectFailed(WireError):
    """Any other reason of the network's (unreachable, prohibited)."""


class GeneratorExhausted(WireError):
    """This machine ran out of file descriptors, ports or buffers: it says nothing about the system under load."""


class CertificateRefused(WireError):
    """The server's certificate does not prove that it is the host."""


class TlsFailed(WireError):
    """The TLS session could not be made, or broke."""


class ConnectionReset(WireError):
    """The server reset the connection in mid-exchange."""


class ClosedEarly(WireError):
    """The server closed the connection before the first byte of an answer."""


class AnswerTimeout(WireError):
    """The answer was not complete in time."""


class Truncated(WireError):
    """The server closed the connection in the middle of an answer."""


class Malformed(WireError):
    """The answer breaks HTTP/1.1, or a limit of this reader."""


class Desync(WireError):
    """Bytes arrived that belong to no request: whose answer the next one is, nobody can tell."""


class UnexpectedStatus(WireError):
    """A sound answer with a status that the request did not expect."""
