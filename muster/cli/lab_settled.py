"""Waiting until a freshly booted lab has something to say about every indicator."""

from __future__ import annotations

from contextlib import suppress

import httpx

from muster.rules.names import record
from muster.system import System
from muster.wait import TimedOut, wait_until

TIMEOUT_S = 15.0


def wait_for_indicators(system: System, prometheus: str) -> bool:
    """Whether Prometheus has recorded every indicator of the facts, waited for within a bound.

    A rate needs two scrapes, so a world that has just begun has none, and that would be told as a metric that is gone.
    Where one stays away nothing is raised: what is missing is for the checks to say.
    """
    names = [record(system, slo) for slo in system.slo]
    query = f'count by (__name__) ({{__name__=~"{"|".join(names)}"}})'

    def look() -> int:
        answer = http.get(f"{prometheus}/api/v1/query", params={"query": query}).raise_for_status()
        return len(answer.json()["data"]["result"])

    with httpx.Client(timeout=2.0, trust_env=False) as http, suppress(TimedOut):
        wait_until(
            look,
            lambda found: found == len(names),
            what="every indicator was not recorded",
            timeout_s=TIMEOUT_S,
            tolerate=(httpx.HTTPError, ValueError, KeyError, TypeError),
        )
        return True
    return False
