"""The Deployment: is what was asked for what is running?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.pods import Pod, staying
from muster.judge.undeclared import Undeclared, declared
from muster.system.model import Pods as PodFacts
from muster.verdict import SLOWarning

NO_DEADLINE = 2**31 - 1  # seconds; as the API has it


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The workload's Deployment; counts are pods, ``conditions`` maps type to (status, reason, message).

    ``containers`` maps the name of each container to the image that is asked for; ``strategy`` is as written.
    """

    name: str
    namespace: str
    generation: int
    observed_generation: int
    revision: int
    paused: bool
    images: tuple[str, ...]
    wanted: int
    replicas: int
    updated: int
    ready: int
    available: int
    conditions: Mapping[str, tuple[str, str, str]]
    labels: Mapping[str, str]
    containers: Mapping[str, str]
    strategy: Mapping[str, Any]
    deadline_s: int = 600  # for progress; NO_DEADLINE turns it off, and then nothing is reported of progress


@dataclass(frozen=True, kw_only=True)
class ReplicaSet:
    """One revision of it. ``created`` is seconds since the epoch.

    ``first_revision`` is the number that it had first (0: not read); ``withdrawn`` says whose bad release it was.
    """

    name: str
    revision: int
    template_hash: str
    images: tuple[str, ...]
    build: str  # tells pod specs apart; annotations, such as a restart's, are none of it
    wanted: int
    ready: int
    created: float
    first_revision: int = 0
    withdrawn: str = ""


def deployment(raw: Mapping[str, Any]) -> Deployment:
    """The typed view of the reading ``deployment``."""
    known = {field.name: raw[field.name] for field in fields(Deployment) if field.name not in {"images", "conditions"}}
    conditions = {entry["type"]: (entry["status"], entry["reason"], entry["message"]) for entry in raw["conditions"]}
    return Deployment(images=tuple(raw["images"]), conditions=conditions, **known)


def replicasets(raw: list[Mapping[str, Any]]) -> tuple[ReplicaSet, ...]:
    """The typed view of the reading ``replicasets``, oldest revision first."""
    return tuple(ReplicaSet(**{**entry, "images": tuple(entry["images"])}) for entry in raw)


def assert_not_paused(deployment: Deployment) -> None:
    """The rollout is not paused: a paused one neither rolls out nor back."""
    message = f"{deployment.name} is paused at revision {deployment.revision}: nothing rolls out, and no rollback helps"
    claim(not deployment.paused, message)


def assert_in_time(deployment: Deployment) -> None:
    """The rollout has not run out of time. Raises Unknown while the controller says nothing of its progress."""
    if deployment.deadline_s >= NO_DEADLINE:
        raise Undeclared(f"{deployment.name} sets no deadline for its rollouts")
    status, reason, message = deployment.conditions.get("Progressing", ("", "", ""))
    claim(status != "False", f"{_where(deployment)} is stuck: {reason}: {message}")
    if not status and not deployment.paused:
        raise Unknown(f"{_where(deployment)}: the controller says nothing of its progress")


def assert_complete(deployment: Deployment) -> None:
    """The controller has seen the newest spec and finished it: every replica is of the newest revision.

    ``Available`` is not asked: it stays true while a bad rollout is stuck behind the old replicas.
    """
    seen = deployment.observed_generation >= deployment.generation
    claim(seen, f"{_where(deployment)}: the controller has not seen its newest spec")
    finished = deployment.updated == deployment.replicas == deployment.wanted
    counts = f"{deployment.updated} of {deployment.wanted} replicas are of it, {deployment.replicas} run in all"
    claim(finished, f"{_where(deployment)} is not complete: {counts}")


def _where(deployment: Deployment) -> str:
    return f"rollout of {deployment.name}, revision {deployment.revision}"


def assert_ready(deployment: Deployment, facts: PodFacts | None) -> None:
    """All wanted replicas are ready, and no fewer are wanted than the runbook's least."""
    least = declared(facts, "how many replicas there must be").least_replicas
    ready, wanted = deployment.ready, deployment.wanted
    claim(ready >= wanted, f"{deployment.name}: {ready} of {wanted} replicas are ready")
    claim(wanted >= least, f"{deployment.name} wants {wanted} replicas; the runbook asks for {least}")


def assert_an_earlier_revision_is_kept(deployment: Deployment, replicasets: tuple[ReplicaSet, ...]) -> None:
    """There is a previous revision to go back to; a bad release that a drill has withdrawn is none.

    A first revision has none, also when it was released again after such a drill: no fault, and no pass either.
    """
    others = _others(deployment, replicasets)
    if not others and _is_first(deployment, replicasets):
        raise Undeclared(f"{deployment.name} is at its first revision: there is nothing to go back to")
    gone = f"{deployment.name} is at revision {deployment.revision}, but no earlier ReplicaSet is left to roll back to"
    claim(bool(others), gone)


def assert_going_back_changes_something(deployment: Deployment, replicasets: tuple[ReplicaSet, ...]) -> None:
    """An undo leads to another build, and to none that a drill has withdrawn. Else it warns, and says which is well.

    Kubernetes' undo goes to the newest of the other revisions. Where nothing is kept, nothing is claimed here.
    """
    others = _others(deployment, replicasets)
    current = next((entry for entry in replicasets if entry.revision == deployment.revision), None)
    bad = [entry for entry in replicasets if entry.withdrawn and entry.revision != deployment.revision]
    instead = _instead(others, current)
    if bad and (not others or bad[-1].revision > others[-1].revision):
        message = f"an undo of {deployment.name} goes to revision {bad[-1].revision}, a {bad[-1].withdrawn}"
        warnings.warn(f"{message}: delete ReplicaSet {bad[-1].name}{instead}", SLOWarning, stacklevel=2)
        return
    if not others:
        if not _is_first(deployment, replicasets):
            raise Unknown(f"{deployment.name} keeps no earlier revision to compare with")
        raise Undeclared(f"{deployment.name} is at its first revision: there is nothing to go back to")
    if current is None:
        raise Unknown(f"the ReplicaSet of revision {deployment.revision} of {deployment.name} is not there yet")
    previous = others[-1]
    if previous.build != current.build:
        return
    message = f"an undo of {deployment.name} goes to revision {previous.revision}, which is the same build"
    warnings.warn(f"{message}: it would roll back nothing{instead}", SLOWarning, stacklevel=2)


def _others(deployment: Deployment, replicasets: tuple[ReplicaSet, ...]) -> list[ReplicaSet]:
    """The revisions beside the current one that may be gone back to, oldest first."""
    return [entry for entry in replicasets if entry.revision != deployment.revision and not entry.withdrawn]


def _is_first(deployment: Deployment, replicasets: tuple[ReplicaSet, ...]) -> bool:
    """Whether nothing was released before what is current: the number that it had first is 1."""
    current = next((entry for entry in replicasets if entry.revision == deployment.revision), None)
    return deployment.revision <= 1 or (current is not None and current.first_revision == 1)


def _instead(others: list[ReplicaSet], current: ReplicaSet | None) -> str:
    """The newest revision of another build, in words; empty when there is none."""
    different = [entry.revision for entry in others if current is not None and entry.build != current.build]
    return f"; revision {different[-1]} differs (--to-revision={different[-1]})" if different else ""


def assert_pods_run_what_is_asked_for(deployment: Deployment, pods: tuple[Pod, ...]) -> None:
    """Every container of every pod has the image that the Deployment asks for now."""
    for pod in staying(pods):
        have = {ask.name: ask.image for ask in pod.asks if not ask.init}
        for name, image in deployment.containers.items():
            if name not in have:
                raise Unknown(f"{pod.name} has no container {name}, which {deployment.name} asks for")
            wrong = f"{pod.name}: container {name} is of {have[name]}; {deployment.name} asks for {image}"
            claim(have[name] == image, wrong)
