"""Marks of faults that a ledger does not know: somebody's drill, kept in another folder, has left its trace here."""

from __future__ import annotations

from dataclasses import dataclass

from muster.faults.ledger import Ledger
from muster.faults.marks import EXPIRES, ID
from muster.kube import Kube, KubeError
from muster.system import Environment


@dataclass(frozen=True)
class Stray:
    """One object that carries a fault's mark."""

    what: str  # "deployment/x0tta6bl4-staging"
    fault: str  # the id in the ledger that injected it
    expires: str  # as the mark says it: 2026-01-07T10:20:00Z

    def __str__(self) -> str:
        return f"{self.what} (fault {self.fault}, to end at {self.expires or 'no time that the mark names'})"


def strays(kube: Kube, env: Environment, ledger: Ledger) -> tuple[list[Stray], list[str]]:
    """What carries a mark in the environment's namespaces whose fault this ledger does not hold, healed or not.

    Objects of Chaos Mesh are found by the pods that they name. Beside what was found: what this account may not list,
    in words. Raises :class:`~muster.kube.KubeError` when the API is out of reach.
    """
    if env.kubernetes is None:
        return [], []
    spaces = dict.fromkeys([env.kubernetes.namespace, *env.guard.namespaces])
    lists = [
        (kind, f"{group}/namespaces/{space}/{kind}s")
        for space in spaces
        for group, kind in (("/apis/apps/v1", "deployment"), ("/api/v1", "pod"))
    ]
    lists += [("ingress", f"/apis/networking.k8s.io/v1/namespaces/{space}/ingresses") for space in spaces]
    lists += [("node", "/api/v1/nodes")] if env.guard.nodes else []
    known = {path.stem for path in ledger.folder.glob("*.json")}
    found, unseen = [], []
    for kind, path in lists:
        try:
            items = kube.get(path)["items"]
        except KubeError as error:
            if error.status == 404:  # not served, so there is none
                continue
            if error.status != 403:
                raise
            unseen.append(path)
            continue
        for item in items:
            notes = item["metadata"].get("annotations") or {}
            if ID in notes and notes[ID] not in known:
                found.append(Stray(f"{kind}/{item['metadata']['name']}", notes[ID], notes.get(EXPIRES, "")))
    return found, unseen
