"""A port for a server that is started a moment later: not one that the kernel may give to somebody's connection."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

FIRST, LAST = 10_240, 20_000  # labs plan theirs from there on
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SPACING = 211  # a prime: processes whose numbers follow each other begin to look far apart
_counter = itertools.count()


def free_port(host: str = "127.0.0.1") -> int:
    """A port of ``host`` that was free a moment ago, another one at each call of this process.

    ``bind`` to 0 gives one of the range from which connections take theirs as well: between the asking and the use, a
    machine with thousands of connections takes it. So it is looked for below that range. Raises OSError when none is
    free.
    """
    last = min(LAST, _first_ephemeral())
    for _ in range(last - FIRST):
        port = FIRST + (os.getpid() * _SPACING + next(_counter)) % (last - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {host} between {FIRST} and {last} is free")


def _first_ephemeral() -> int:
    """Where the range of connections begins; Linux' default where it is not told, or begins too low to stay below."""
    try:
        first = int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        first = 0
    return first if first > FIRST + 1000 else 32_768
