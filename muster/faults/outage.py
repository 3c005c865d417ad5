"""What watches the system is taken away: Prometheus, Alertmanager, the responder. The environment says how.

Either by two commands, or by setting the replicas of the workload to 0, see :class:`~muster.system.guard.Outage`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import httpx

from muster.errors import Unknown, UsageError
from muster.faults import command, guard
from muster.faults.intent import Intent
from muster.faults.ledger import Entry, Ledger
from muster.kube import MERGE, Kube
from muster.system import Environment
from muster.trust import Source, bearer, trust_of
from muster.wait import wait_until

KIND = "outage"
NEEDS = frozenset({"kubernetes", "outages"})
READY = {"prometheus": "/-/ready", "alertmanager": "/-/ready", "responder": "/readyz"}
BACK_WITHIN_S = 120.0
LOOK_S = 0.2
ASK_S = 2.0  # for one answer
STAYS_S = 3.0  # so long it must answer, where nobody knows whether it was told to go


def intend(kube: Kube, env: Environment, *, component: str) -> Intent:
    """Aim at one of the environment's ``outages``: prometheus, alertmanager, responder.

    Raises :class:`~muster.faults.guard.Refused`, UsageError when the environment does not say how or it is not there
    now, KubeError.
    """
    source = guard.cluster_of(env)
    way = next((way for name, way in env.outages.items() if name == component), None)
    if way is None:
        known = ", ".join(env.outages) or "none"
        raise UsageError(f"environment {env.name} does not say how {component} is taken away (outages: {known})")
    namespace, path = source.namespace, ""
    if way.workload:
        namespace, kind, name = way.workload.split("/")
        path = f"/apis/apps/v1/namespaces/{namespace}/{kind}s/{name}"
    guard.allow(env, kube, namespace=namespace)
    if not _answers(env, component):
        raise UsageError(
            f"{component} does not answer at {_url(env, component)}, so taking it away would prove nothing"
        )
    replicas = int(kube.get(path)["spec"].get("replicas", 1)) if path else 0
    seen_by = Ledger().folder.parent.absolute() / f"outage-{env.name}-{component}.lock"

    def act(_: Entry) -> str:
        if path:
            kube.patch(f"{path}/scale", {"spec": {"replicas": 0}}, kind=MERGE)
        else:
            command.run(way.stop, seen_by=seen_by)
        return ""

    done = f"scale {way.workload} from {replicas} to 0" if path else f"run {' '.join(way.stop)}"
    return Intent(
        kind=KIND,
        namespace=namespace,
        target=f"{component} at {_url(env, component)}",
        sentences=(done,),
        undo={
            "component": component,
            "start": way.start,
            "path": path,
            "replicas": replicas,
            "seen_by": "" if path else str(seen_by),
        },
        act=act,
        touches=(path,) if path else (),
    )


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Start it unless it answers, and wait until it is ready.

    A drill that was killed while it took it away has left a command that still runs: what that does is waited for,
    since an answer before would be closed over. And as long as nobody has recorded that it was taken away, one good
    answer is not believed: whatever the command has told may come late.
    """
    component, path = entry.undo["component"], entry.undo["path"]
    if entry.undo.get("seen_by"):
        command.await_end(Path(entry.undo["seen_by"]))
    if path:
        if int(kube.get(path)["spec"].get("replicas", 1)) == 0:
            kube.patch(f"{path}/scale", {"spec": {"replicas": entry.undo["replicas"]}}, kind=MERGE)
    elif not _stands(env, component):
        command.run(entry.undo["start"])
    wait_until(
        lambda: _answers(env, component),
        bool,
        what=f"{component} was not ready again at {_url(env, component)}",
        timeout_s=BACK_WITHIN_S,
        every_s=LOOK_S,
        successes=round(STAYS_S / LOOK_S) if entry.state == "opening" else 1,
        show=lambda _: "it does not answer",
    )
    return f"{component} answers again"


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 60.0) -> float:
    """Wait until it does not answer any more; returns when that was seen, in seconds since the epoch."""
    guard.same_cluster(entry, env, kube)
    wait_until(
        lambda: _status(env, entry.undo["component"]),
        lambda status: status == 0 or status >= httpx.codes.INTERNAL_SERVER_ERROR,  # a 401 is an answer
        what=f"{entry.target} was not taken away",
        timeout_s=timeout_s,
        show=lambda _: "it still answers",
    )
    return time.time()


def _url(env: Environment, component: str) -> str:
    url = {"prometheus": env.prometheus, "alertmanager": env.alertmanager, "responder": env.responder}.get(
        component, ""
    )
    if not url:
        raise UsageError(f"environment {env.name} declares no {component}, so whether it answers could not be seen")
    return url.rstrip("/")


def _status(env: Environment, component: str) -> int:
    """What it answers to the question whether it is ready; 0: nothing. Raises MusterError for its token and its CA."""
    url = _url(env, component) + READY[component]  # refuses what it does not know
    headers = bearer(env, cast("Source", component))
    try:
        return httpx.get(url, timeout=ASK_S, trust_env=False, headers=headers, verify=trust_of(env)).status_code
    except httpx.HTTPError:
        return 0


def _answers(env: Environment, component: str) -> bool:
    return httpx.codes.is_success(_status(env, component))


def _stands(env: Environment, component: str) -> bool:
    """For healing: what cannot be asked for want of a token is started all the same."""
    try:
        return _answers(env, component)
    except Unknown:
        return False
