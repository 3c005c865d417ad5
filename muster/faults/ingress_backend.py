"""The users' way in leads nowhere: the Ingress names a Service that does not exist. Every replica is well, and idle."""

from __future__ import annotations

import time
from typing import Any

import httpx

from muster.errors import UsageError
from muster.faults import guard
from muster.faults.intent import Intent
from muster.faults.ledger import Entry
from muster.faults.victims import aim
from muster.kube import JSON_PATCH, Kube, KubeError
from muster.system import Environment
from muster.trust import bearer, trust_of
from muster.wait import wait_until
from muster.workload import Json

KIND = "ingress_backend"
NEEDS = frozenset({"kubernetes", "http"})
NOWHERE = "muster-no-such-service"
CANARY = "nginx.ingress.kubernetes.io/canary"
ASK_S = 2.0  # for one answer


def intend(
    kube: Kube, env: Environment, *, ingress: str = "", path: str = "/health", last_replica: bool = False
) -> Intent:
    """Aim at the Ingress that leads users to the system's pods (``ingress`` names it where there are several).

    Every replica is out of reach then, which the experiment must say it means: ``last_replica: true``. Whether users
    get in is seen at ``path``, with the token and authority of the environment: by what it answers before.

    Raises:
        Refused: The guard does not allow it.
        UsageError: No Ingress, or more than one, leads to these pods, or users are not served at ``path`` now.
        KubeError: The API could not be asked.
    """
    source = guard.cluster_of(env)
    if not env.http:
        raise UsageError(f"environment {env.name} declares no http, so whether users get in could not be seen")
    serving = _serving(env, path)
    victims = aim(kube, env, "all", last_replica=last_replica)
    services = _services(kube, source.namespace, victims.chosen[0])
    found = {
        item["metadata"]["name"]: backends
        for item in kube.get(_folder(source.namespace))["items"]
        if ingress in ("", item["metadata"]["name"]) and not _is_canary(item)
        if (backends := _backends(item, services))
    }
    if len(found) != 1:
        named = f"there are {', '.join(sorted(found))}: name one" if found else "there is none"
        raise UsageError(f"one Ingress in {source.namespace} must lead to the system's pods, and {named}")
    (name, backends), *_ = found.items()
    item_path = f"{_folder(source.namespace)}/{name}"

    def act(_: Entry) -> str:
        kube.patch(item_path, _swap(backends, dict.fromkeys(backends, NOWHERE)), kind=JSON_PATCH)
        return ""

    return Intent(
        kind=KIND,
        namespace=source.namespace,
        target=f"ingress/{name}",
        sentences=tuple(
            f"replace service {service} by {NOWHERE} in ingress {name} of {source.namespace} ({pointer})"
            for pointer, service in backends.items()
        ),
        undo={"ingress": name, "backends": backends, "path": path, "status": serving},
        act=act,
        touches=(item_path,),
        pods=len(victims.chosen),
        ready=victims.ready,
    )


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Put the services back where ours still stands, and wait until users get in."""
    name, backends = entry.undo["ingress"], entry.undo["backends"]
    path = f"{_folder(entry.namespace)}/{name}"
    try:
        item = kube.get(path)
        lost = {pointer: NOWHERE for pointer in backends if _at(item, pointer) == NOWHERE}
        if lost:
            kube.patch(path, _swap(lost, backends), kind=JSON_PATCH)
    except KubeError as error:
        if error.status == 404:
            return f"ingress {name} is gone"
        raise
    _await_answer(env, entry, f"ingress {name} did not serve users again", 60.0, served=True)
    return f"ingress {name} leads to {', '.join(sorted(set(backends.values())))} again"


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 30.0) -> float:
    """Wait until a user is not served any more; returns when that was seen, in seconds since the epoch."""
    guard.same_cluster(entry, env, kube)
    _await_answer(env, entry, f"{entry.target} still served users", timeout_s, served=False)
    return time.time()


def _serving(env: Environment, path: str) -> int:
    """The status that users get at ``path``. Raises UsageError when it is none of somebody who is served."""
    url = f"{env.http.rstrip('/')}{path}"
    try:
        status = httpx.get(url, **_as_user(env)).status_code
    except httpx.HTTPError as error:
        raise UsageError(f"{url} does not answer ({error}), so closing the way in would prove nothing") from None
    if status >= httpx.codes.BAD_REQUEST:
        raise UsageError(f"{url} answers {status}, so closing the way in would prove nothing; name another path")
    return status


def _await_answer(env: Environment, entry: Entry, what: str, timeout_s: float, *, served: bool) -> None:
    """Until users get what they got before the fault, or no longer do: a 5xx, or nobody there for the address."""
    path, good = entry.undo.get("path", "/health"), entry.undo.get("status", httpx.codes.OK)
    gone = (httpx.codes.NOT_FOUND, *range(500, 600))
    with httpx.Client(**_as_user(env)) as http:
        wait_until(
            lambda: http.get(f"{env.http.rstrip('/')}{path}").status_code,
            lambda status: status == good if served else status in gone,
            what=what,
            timeout_s=timeout_s,
            successes=3,  # one new connection may still meet the old configuration
            show=lambda status: f"{env.http}{path} answered {status}",
            tolerate=(httpx.HTTPError,),
        )


def _as_user(env: Environment) -> dict[str, Any]:
    """How a user of this environment asks. Raises MusterError for a token or an authority that cannot be read."""
    return {"timeout": ASK_S, "trust_env": False, "verify": trust_of(env), "headers": bearer(env, "http")}


def _folder(namespace: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"


def _is_canary(item: Json) -> bool:
    return (item["metadata"].get("annotations") or {}).get(CANARY) == "true"


def _services(kube: Kube, namespace: str, pod: Json) -> set[str]:
    """The Services that select this pod."""
    labels = (pod["metadata"].get("labels") or {}).items()
    items = kube.get(f"/api/v1/namespaces/{namespace}/services")["items"]
    return {
        item["metadata"]["name"]
        for item in items
        if (selector := item["spec"].get("selector")) and selector.items() <= labels
    }


def _backends(item: Json, services: set[str]) -> dict[str, str]:
    """JSON pointer -> Service of every backend of the Ingress that is one of these."""
    found = {}
    default = (item["spec"].get("defaultBackend") or {}).get("service") or {}
    if default.get("name") in services:
        found["/spec/defaultBackend/service/name"] = str(default["name"])
    for number, rule in enumerate(item["spec"].get("rules") or []):
        for place, path in enumerate((rule.get("http") or {}).get("paths") or []):
            name = (path["backend"].get("service") or {}).get("name")
            if name in services:
                found[f"/spec/rules/{number}/http/paths/{place}/backend/service/name"] = str(name)
    return found


def _at(item: Any, pointer: str) -> Any:
    """The value at a JSON pointer; None where there is none any more."""
    for part in pointer.strip("/").split("/"):
        try:
            item = item[int(part)] if isinstance(item, list) else item[part]
        except (KeyError, IndexError, TypeError):
            return None
    return item


def _swap(before: dict[str, str], after: dict[str, str]) -> list[Json]:
    """Replace what is at these pointers, provided that it is still there."""
    return [
        step
        for pointer, service in before.items()
        for step in (
            {"op": "test", "path": pointer, "value": service},
            {"op": "replace", "path": pointer, "value": after[pointer]},
        )
    ]
