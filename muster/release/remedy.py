"""The runbook's other remedies, restart and scale: as a command for people, and as a change of the Deployment."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from muster.kube import MERGE, Kube, KubeError
from muster.release.keepers import read_deployed
from muster.release.model import source_of
from muster.release.quota import forbids
from muster.system import Environment, System
from muster.system.rollback import Remedy
from muster.verdict import Verdict
from muster.wait import TimedOut, wait_until
from muster.workload import RESTARTED, Json, Workload, deployment_path


@dataclass(frozen=True, kw_only=True)
class Prescription:
    """One remedy for one Deployment, as it would be carried out now."""

    remedy: Remedy
    command: str  # for a person to paste
    replicas: int = 0  # of a scaling
    obstacle: str = ""  # why it would not help or cannot be met


@dataclass(frozen=True, kw_only=True)
class Healed:
    """Whether a remedy took effect: every replica it asked for is ready."""

    verdict: Verdict
    message: str


def command_for(system: System, env: Environment, remedy: Remedy) -> str:
    """The exact command of a remedy, without looking at the cluster."""
    source = source_of(env)
    words = ["kubectl", *(["--context", source.context] if source.context else []), "-n", source.namespace]
    if remedy == "restart":
        return shlex.join([*words, "rollout", "restart", f"deployment/{source.deployment}"])
    replicas = system.pods.scale_to if system.pods else None
    return shlex.join([*words, "scale", f"deployment/{source.deployment}"]) + f" --replicas={replicas or '<n>'}"


def prescribe(kube: Kube, system: System, env: Environment, remedy: Remedy) -> Prescription:
    """The remedy with what is in its way now. Raises :class:`~muster.kube.KubeError`."""
    source, command = source_of(env), command_for(system, env, remedy)
    seen = read_deployed(kube, source.namespace, source.deployment)
    if remedy == "restart":
        paused = f"deployment {seen.name} is paused, so a restart would not begin"
        return Prescription(
            remedy=remedy, command=command, obstacle=paused if seen.deployment["spec"].get("paused") else ""
        )
    replicas = (system.pods.scale_to if system.pods else None) or 0
    scalers = kube.get(f"/apis/autoscaling/v2/namespaces/{source.namespace}/horizontalpodautoscalers")["items"]
    quotas = kube.get(f"/api/v1/namespaces/{source.namespace}/resourcequotas")["items"]
    why = _no_scaling(seen, replicas, scalers) or forbids(quotas, seen.template, replicas - seen.wanted)
    return Prescription(remedy=remedy, command=command, replicas=replicas, obstacle=why)


def _no_scaling(seen: Workload, replicas: int, scalers: list[Json]) -> str:
    if not replicas:
        return "the facts name no number of replicas to scale to (pods.scale_to)"
    if seen.wanted >= replicas:
        return f"deployment {seen.name} already asks for {seen.wanted} replicas"
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        if target.get("kind") == "Deployment" and target.get("name") == seen.name:
            return f"autoscaler {scaler['metadata']['name']} owns the replicas of {seen.name} and would undo it"
    return ""


def apply_remedy(kube: Kube, env: Environment, remedy: Remedy, *, at: float, replicas: int = 0) -> None:
    """Carry it out. Twice with the same ``at`` is once. Raises :class:`~muster.kube.KubeError`."""
    source = source_of(env)
    path = deployment_path(source.namespace, source.deployment)
    if remedy == "scale":
        kube.patch(path, {"spec": {"replicas": replicas}}, kind=MERGE)
        return
    kube.patch(path, {"spec": {"template": {"metadata": {"annotations": {RESTARTED: _stamp(at)}}}}}, kind=MERGE)


def is_applied(kube: Kube, env: Environment, remedy: Remedy, *, at: float, replicas: int = 0) -> bool:
    """Whether the Deployment asks for what :func:`apply_remedy` did. Raises :class:`~muster.kube.KubeError`."""
    source = source_of(env)
    spec = kube.get(deployment_path(source.namespace, source.deployment))["spec"]
    if remedy == "scale":
        return bool(spec["replicas"] == replicas)
    notes = spec["template"]["metadata"].get("annotations") or {}
    return bool(notes.get(RESTARTED) == _stamp(at))


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def prove_remedy(kube: Kube, env: Environment, remedy: Remedy, *, replicas: int, tick: Callable[[], None]) -> Healed:
    """Look until the rollout is complete, at most the environment's rollback timeout."""
    source = source_of(env)

    looks: list[Workload] = []

    def _look() -> Workload:
        looks.clear()
        tick()
        looks.append(read_deployed(kube, source.namespace, source.deployment))
        return looks[0]

    def _lacks(seen: Workload) -> str:
        if remedy == "scale" and seen.wanted != replicas:
            return f"somebody else asked for {seen.wanted} replicas"
        ready = len(seen.serving())
        return seen.shortfall() or ("" if ready == seen.wanted else f"{ready} of {seen.wanted} pods ready")

    try:
        seen = wait_until(
            _look,
            lambda seen: not _lacks(seen),
            what=f"the {remedy} did not take effect",
            timeout_s=env.rollback.timeout_s,
            show=_lacks,
            tolerate=(KubeError,),
        )
    except TimedOut as error:
        return Healed(verdict=Verdict.FAIL if looks else Verdict.UNKNOWN, message=str(error))
    done = "were restarted and are" if remedy == "restart" else "are"
    return Healed(verdict=Verdict.PASS, message=f"{seen.wanted} of {seen.wanted} replicas {done} ready")
