"""A drill's bad release is nothing to go back to: its ReplicaSet is marked as withdrawn, and deleted where that can be.

Left as it was, it would be the previous revision once the good release is back: the next rollback, a responder's or a
person's ``kubectl rollout undo``, would bring it out again, at an incident.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from muster.errors import MusterError
from muster.faults.injected import Injected
from muster.faults.ledger import Entry
from muster.kube import MERGE, Kube, KubeError
from muster.system import Environment
from muster.wait import TimedOut, wait_until
from muster.workload import (
    REVISION_HISTORY,
    WITHDRAWN,
    Json,
    Workload,
    hash_of,
    is_observed,
    read_workload,
    revision,
    withdrawn,
)

EMPTY_WITHIN_S = 2.0  # a finished rollout leaves it empty at once; nobody waits longer for what a mark does as well


def put_back(
    kube: Kube, env: Environment, entry: Entry, fault: Injected, *, asked: Json, ask: Callable[[], Json], what: str
) -> str:
    """Have the Deployment ask for another template and wait until no pod of the bad release is left; says so.

    Args:
        kube: A session with the environment's cluster.
        env: The environment; its rollback's time limit bounds the wait.
        entry: The record.
        fault: What it injected.
        asked: The template that is asked for instead.
        ask: Asks for it, and returns the Deployment as the API has it then.
        what: What the fault is called: "bad release".

    Raises:
        MusterError: It was not done, what was injected is still there, or its pods are.
    """
    name = entry.undo["deployment"]
    with suppress(KubeError):  # users are not kept waiting for a mark; withdraw() asks for it again, and insists
        mark(kube, entry, fault, read_workload(kube, entry.namespace, name), asked)
    left = fault.left_in(ask()["spec"]["template"])
    if left:
        raise MusterError(
            f"deployment {name} was given its good release back, but the API still has {', '.join(left)} of the {what}"
        )

    def _lacks(seen: Workload) -> str:
        pods, there = fault.pods_left(seen), fault.left_in(seen.template)
        if there:
            return f"somebody has put {', '.join(there)} back"
        return seen.shortfall() or (f"{len(pods)} pods of the {what} left" if pods else "")

    wait_until(
        lambda: read_workload(kube, entry.namespace, name),
        lambda seen: not _lacks(seen),
        what=f"deployment {name} was given its good release back, but did not finish rolling it out",
        timeout_s=env.rollback.timeout_s,
        show=_lacks,
        tolerate=(KubeError,),
    )
    mended = "" if asked is entry.undo["good"] else ", with what others have changed in it since"
    return f"deployment {name} runs its good release again{mended}"


def mark(kube: Kube, entry: Entry, fault: Injected, seen: Workload, asked: Json) -> list[Json]:
    """Mark what released it, unless it is marked; these ReplicaSets as they are now. Raises KubeError.

    The mark goes on the ReplicaSet itself: the controller copies a Deployment's annotations to whatever ReplicaSet is
    current. That a ``kubectl rollout undo`` to it copies the mark the other way is why it names the template it is for.
    """
    marked = []
    for item in fault.releases(seen, asked):
        if not withdrawn(item):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            notes = {WITHDRAWN: f"{hash_of(item)} bad release of fault {entry.id}, withdrawn at {at}"}
            try:
                item = kube.patch(_path(item), {"metadata": {"annotations": notes}}, kind=MERGE)  # noqa: PLW2901
            except KubeError as error:
                if error.status == 404:  # the limit of the history took it meanwhile
                    continue
                raise
        marked.append(item)
    return marked


def withdraw(kube: Kube, env: Environment, entry: Entry, fault: Injected, *, within_s: float = EMPTY_WITHIN_S) -> str:
    """Once the Deployment asks for another release: mark, then delete what is empty; what was done, in words.

    Any number of times. The mark is on before the record is closed, so a crash costs neither. Deleted is only what
    exists through this release alone, and only as it was seen: empty. What cannot be deleted stays, marked.

    Args:
        kube: A session with the environment's cluster.
        env: The environment; its rollback's time limit bounds how long the controller may take to see the newest spec.
        entry: The record.
        fault: What it injected.
        within_s: How long its last pods may take to be gone.

    Raises:
        KubeError: It cannot be marked.
        TimedOut: The controller does not follow, so what it still makes of the bad release is not known.
    """
    found: list[Json] = []

    def _marked() -> str:
        try:
            seen = read_workload(kube, entry.namespace, entry.undo["deployment"])
            found[:] = mark(kube, entry, fault, seen, seen.template)
        except KubeError as error:
            if 400 <= error.status < 500 and error.status not in (409, 429):
                raise
            return str(error)
        return "" if is_observed(seen.deployment) else "the controller has not seen the newest spec yet"

    wait_until(
        _marked,
        lambda lack: not lack,
        what=f"the bad release of {entry.target} could not be marked as withdrawn",
        timeout_s=env.rollback.timeout_s,
    )
    deadline = time.monotonic() + within_s
    return "".join(f"; {_delete(kube, item, until=deadline)}" for item in found)


def _delete(kube: Kube, item: Json, *, until: float) -> str:
    """Delete one ReplicaSet as soon as it is empty, before ``until`` (monotonic); what became of it, in words."""
    name = f"revision {revision(item)} of it"
    if REVISION_HISTORY in (item["metadata"].get("annotations") or {}):
        return f"{name} is kept, for it had been released before: {_STAYS}"
    seen = [item]

    def _look() -> str:
        """What hinders it; empty when it is gone."""
        if not seen:
            fresh = kube.find(_path(item))
            if fresh is None or fresh["metadata"]["uid"] != item["metadata"]["uid"]:  # the same name, released anew
                return ""
            seen.append(fresh)
        now = seen.pop()
        pods = max(int(now["spec"].get("replicas", 1)), int(now.get("status", {}).get("replicas", 0)))
        if pods:
            return f"it still has {pods} pods"
        version = {key: now["metadata"][key] for key in ("uid", "resourceVersion")}
        try:
            kube.delete(_path(item), {"preconditions": version, "propagationPolicy": "Background"})
        except KubeError as error:
            if error.status == 404:
                return ""
            if error.status != 409:
                raise
            return "it changes all the time"
        return ""

    try:
        wait_until(_look, lambda why: not why, what="", timeout_s=max(0.0, until - time.monotonic()))
    except TimedOut as error:
        return f"{name} stays, for {error.last}: {_STAYS}"
    except KubeError as error:
        why = "this account may not delete it" if error.status == 403 else str(error)
        return f"{name} stays, for {why}: {_STAYS}"
    return f"{name} is deleted"


_STAYS = "no rollback goes back to it, but a kubectl rollout undo would"


def _path(item: Json) -> str:
    meta = item["metadata"]
    return f"/apis/apps/v1/namespaces/{meta['namespace']}/replicasets/{meta['name']}"
