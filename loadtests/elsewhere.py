"""Where plain Locust may send load: to this very machine, and to the one address that was named on purpose.

``muster load`` and drills ask the environment's guard before they write a plan; a plain ``locust`` has nobody to ask.
"""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

ALLOWED = "MUSTER_LOAD_HOST"
EXIT_USAGE = 4  # as everywhere in Muster


def refusal(host: str) -> str:
    """Why no load is sent there, in one sentence; empty where it may be."""
    try:
        parts = urlsplit(host)
        name = parts.hostname or ""
        here = name == "localhost" or ip_address(name).is_loopback
    except ValueError:  # a name, or no address at all
        here = False
    if here or host.rstrip("/") == os.environ.get(ALLOWED, "").rstrip("/"):
        return ""
    return (
        f"{host} is not this machine, and no environment's guard was asked: use `muster load`, or say {ALLOWED}={host} "
        "if you may load it"
    )


def refuse(environment: Any) -> None:
    """End Locust with that sentence, before a user is made. Only a run without a plan is asked."""
    given = environment.parsed_options
    if getattr(given, "plan", "") or getattr(given, "plan_text", "") or getattr(given, "worker", False):
        return  # a plan is written by whom the guard has answered; a worker sends where its master says
    host = environment.host or getattr(given, "host", None) or ""
    if host and (why := refusal(host)):
        print(f"locust: {why}", file=sys.stderr, flush=True)
        sys.exit(EXIT_USAGE)
