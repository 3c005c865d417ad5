"""Which pods an object selects."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from lab.chaos.spec import Plan, Selection, SpecError
from lab.client import Client
from lab.objects import annotations_of, labels_of, matches, pod_phase
from lab.resources import PODS

Object = dict[str, Any]
_KNOWN = {
    "namespaces",
    "labelSelectors",
    "expressionSelectors",
    "annotationSelectors",
    "pods",
    "podPhaseSelectors",
    "nodes",
}


async def select(client: Client, plan: Plan, namespace: str) -> list[tuple[str, str]]:
    """``(selector key, id)`` of every target; an id is ``namespace/pod`` or ``namespace/pod/container``.

    Asks the API and not a local copy: whoever has just seen a pod run expects it to be found. Raises
    :class:`SpecError` when there is no target, :class:`lab.errors.ApiError` when nobody can be asked.
    """
    found = []
    for key, selection in plan.selections.items():
        candidates = []
        for place in namespaces(selection, namespace):
            listed = await client.list(PODS, place)
            candidates += [pod for pod in listed["items"] if is_selected(pod, selection.selector)]
        chosen = choose(candidates, selection)
        if not chosen:
            raise SpecError("no target has been selected")
        for pod in chosen:
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            if plan.by_container:
                found += [(key, f"{name}/{container}") for container in _containers(pod, selection)]
            else:
                found.append((key, name))
    return found


def namespaces(selection: Selection, own: str) -> list[str]:
    """Where to look: the namespaces named, else the object's own."""
    named = {*(selection.selector.get("namespaces") or ()), *(selection.selector.get("pods") or {})}
    return sorted(named) or [own]


def is_selected(pod: Object, selector: Object) -> bool:
    """Whether a selector selects this pod; one that says nothing selects every pod. Raises :class:`SpecError`."""
    if unknown := sorted(set(selector) - _KNOWN):
        raise SpecError(f"spec.selector.{unknown[0]} is not carried out here")
    meta = pod["metadata"]
    named = selector.get("pods")
    if named and meta["name"] not in (named.get(meta["namespace"]) or ()):
        return False
    expressions = selector.get("expressionSelectors") or ()
    phases = [str(phase).lower() for phase in selector.get("podPhaseSelectors") or ()]
    nodes = selector.get("nodes")
    return (
        (not phases or pod_phase(pod).lower() in phases)
        and (not nodes or pod["spec"].get("nodeName") in nodes)
        and _has(labels_of(pod), selector.get("labelSelectors"))
        and _has(annotations_of(pod), selector.get("annotationSelectors"))
        and all(matches({"matchExpressions": [each]}, labels_of(pod)) for each in expressions)
    )


def choose(pods: Iterable[Object], selection: Selection) -> list[Object]:
    """As many of the pods as the mode says, at random."""
    candidates = list(pods)
    count = len(candidates)
    match selection.mode:
        case "one":
            count = min(1, count)
        case "fixed":
            count = min(int(selection.value), count)
        case "fixed-percent":
            count = count * int(selection.value) // 100
        case "random-max-percent":
            count = count * random.randint(0, int(selection.value)) // 100  # noqa: S311  # no secret
    return random.sample(candidates, count)


def _has(have: dict[str, str], wanted: dict[str, str] | None) -> bool:
    return all(have.get(key) == value for key, value in (wanted or {}).items())


def _containers(pod: Object, selection: Selection) -> list[str]:
    names = [container["name"] for container in pod["spec"]["containers"]]
    return [name for name in names if name in selection.containers] if selection.containers else names[:1]
