"""The Deployment: is what was asked for what is running?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from muster.judge.claim import claim
from muster.judge.undeclared import declared
from muster.system.model import Pods as PodFacts


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The workload's Deployment; counts are pods, ``conditions`` maps type to (status, reason, message)."""

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


@dataclass(frozen=True, kw_only=True)
class ReplicaSet:
    """One revision of it. ``created`` is seconds since the epoch."""

    name: str
    revision: int
    template_hash: str
    images: tuple[str, ...]
    wanted: int
    ready: int
    created: float


def deployment(raw: Mapping[str, Any]) -> Deployment:
    """The typed view of the reading ``deployment``."""
    known = {field.name: raw[field.name] for field in fields(Deployment) if field.name not in {"images", "conditions"}}
    conditions = {entry["type"]: (entry["status"], entry["reason"], entry["message"]) for entry in raw["conditions"]}
    return Deployment(images=tuple(raw["images"]), conditions=conditions, **known)


def replicasets(raw: list[Mapping[str, Any]]) -> tuple[ReplicaSet, ...]:
    """The typed view of the reading ``replicasets``, oldest revision first."""
    return tuple(ReplicaSet(**{**entry, "images": tuple(entry["images"])}) for entry in raw)


def assert_complete(deployment: Deployment) -> None:
    """The controller has seen the newest spec and finished it: every replica is of the newest revision.

    ``Available`` is not asked: it stays true while a bad rollout is stuck behind the old replicas.
    """
    seen = deployment.observed_generation >= deployment.generation
    where = f"rollout of {deployment.name}, revision {deployment.revision}"
    claim(seen, f"{where}: the controller has not seen its newest spec")
    status, reason, message = deployment.conditions.get("Progressing", ("", "", ""))
    claim(status != "False", f"{where} is stuck: {reason}: {message}")
    claim(not deployment.paused, f"{where} is paused")
    finished = deployment.updated == deployment.replicas == deployment.wanted
    counts = f"{deployment.updated} of {deployment.wanted} replicas are of it, {deployment.replicas} run in all"
    claim(finished, f"{where} is not complete: {counts}")


def assert_ready(deployment: Deployment, facts: PodFacts | None) -> None:
    """All wanted replicas are ready, and no fewer are wanted than the runbook's least."""
    least = declared(facts, "how many replicas there must be").least_replicas
    ready, wanted = deployment.ready, deployment.wanted
    claim(ready >= wanted, f"{deployment.name}: {ready} of {wanted} replicas are ready")
    claim(wanted >= least, f"{deployment.name} wants {wanted} replicas; the runbook asks for {least}")


def assert_an_earlier_revision_is_kept(deployment: Deployment, replicasets: tuple[ReplicaSet, ...]) -> None:
    """There is a previous revision to go back to. A first revision has none, and that is no fault."""
    others = [entry for entry in replicasets if entry.revision != deployment.revision]
    if deployment.revision <= 1 and not others:
        return
    gone = f"{deployment.name} is at revision {deployment.revision}, but no earlier ReplicaSet is left to roll back to"
    claim(bool(others), gone)
