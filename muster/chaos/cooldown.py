"""A responder that has just rolled back refuses to for a while: an experiment that needs it waits for that."""

from __future__ import annotations

import time

import httpx

from muster.chaos.story import Story
from muster.errors import MusterError
from muster.system import Environment
from muster.timeline import Kind
from muster.trust import bearer, trust_of
from muster.wait import wait_until

TIMEOUT_S = 5.0  # one that is slow is there; an absent one refuses at once


def wait_until_ready(env: Environment, story: Story) -> None:
    """Wait for the end of the responder's cool-down, by its own audit; at most that long.

    A responder that does not answer is not waited for: whether it is there is for the experiment to show.
    """
    cool_down_s = env.scaled(env.rollback.cool_down_s)
    ready_at = _last_rollback(env, since=time.time() - cool_down_s) + cool_down_s
    left_s = ready_at - time.time()
    if left_s <= 0:
        return
    story.tell(Kind.NOTE, source="muster", message=f"the responder cools down for another {left_s:.1f} s")
    wait_until(time.time, lambda now: now >= ready_at, what="the end of the cool-down", timeout_s=left_s + 1.0)


def _last_rollback(env: Environment, *, since: float) -> float:
    """When the responder last decided to roll back, in seconds since the epoch; 0 when not since then, or unknown."""
    if not env.responder:
        return 0.0
    try:
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=trust_of(env)) as http:
            audit = f"{env.responder.rstrip('/')}/audit"
            answer = http.get(audit, params={"since": since}, headers=bearer(env, "responder"))
            records = answer.raise_for_status().json()["records"]
        decided = [r for r in records if r["kind"] == Kind.DECIDED and r["data"].get("decision") == "roll back"]
        return max((float(record["at"]) for record in decided), default=0.0)
    except (httpx.HTTPError, ValueError, KeyError, OSError, MusterError):
        return 0.0
