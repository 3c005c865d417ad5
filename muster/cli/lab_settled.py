"""Waiting until a freshly booted lab has something to say about every indicator."""

from __future__ import annotations

from contextlib import suppress

import httpx

from muster.rules.names import record
from muster.system import Environment, System
from muster.system.promql import fill
from muster.wait import TimedOut, wait_until

TIMEOUT_S = 15.0


def wait_for_indicators(system: System, environment: Environment) -> bool:
    """Whether Prometheus has recorded every indicator of the facts, of every replica, waited for within a bound.

    A rate needs two scrapes, so a world that has just begun has none, and that would be told as a metric that is gone;
    a quantile needs something that happened between two of them (a handshake), else it is 0/0.
    Where one stays away nothing is raised: what is missing is for the checks to say.
    """
    names = [record(system, slo) for slo in system.slo]
    recorded = f'count by (__name__) ({{__name__=~"{"|".join(names)}"}})'
    replicas = [fill(slo.per_replica, environment, slo.window) for slo in system.slo.values() if slo.per_replica]

    def ask(query: str) -> list[str]:
        answer = http.get(f"{environment.prometheus}/api/v1/query", params={"query": query}).raise_for_status()
        return [sample["value"][1] for sample in answer.json()["data"]["result"]]

    def look() -> int:
        known = all((values := ask(query)) and "NaN" not in values for query in replicas)
        return len(ask(recorded)) if known else 0

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
