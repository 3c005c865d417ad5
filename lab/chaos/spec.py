"""What a Chaos Mesh object asks for, read once and checked: no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lab.chaos.links import NONE, Effect
from lab.errors import LabError
from lab.resources import Resource

Object = dict[str, Any]
GROUP = "chaos-mesh.org/v1alpha1"
NETWORK = Resource(GROUP, "networkchaos", "NetworkChaos")
STRESS = Resource(GROUP, "stresschaos", "StressChaos")
POD = Resource(GROUP, "podchaos", "PodChaos")
KINDS = (NETWORK, STRESS, POD)

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class SpecError(LabError):
    """The object asks for something that does not exist, or that the lab does not carry out."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which pods: a ``PodSelector`` of Chaos Mesh. ``containers`` empty means the first one."""

    mode: str
    value: str
    selector: Object
    containers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MemoryStress:
    """``workers`` processes that hold ``bytes`` between them, or ``percent`` of the container's limit."""

    workers: int
    bytes: int = 0
    percent: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CpuStress:
    """``workers`` processes, each using ``load`` of a core (0 to 1)."""

    workers: int
    load: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One object, understood. ``selections`` are by Chaos Mesh's selector keys, ``.`` and ``.Target``."""

    action: str
    selections: dict[str, Selection]
    duration_s: float | None
    by_container: bool = False
    one_shot: bool = False
    effect: Effect = NONE
    direction: str = "to"
    memory: MemoryStress | None = None
    cpu: CpuStress | None = None
    grace_s: int = 0


def read(item: Object) -> Plan:
    """Understand an object. Raises :class:`SpecError` with one sentence that names the field."""
    spec = item.get("spec") or {}
    try:
        selections = {".": _selection(spec, "spec")}
        duration_s = seconds(spec["duration"]) if spec.get("duration") else None
        match item["kind"]:
            case "NetworkChaos":
                return _network(spec, selections, duration_s)
            case "StressChaos":
                return _stress(spec, selections, duration_s)
            case _:
                return _pod(spec, selections, duration_s)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        missing = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise SpecError(f"the spec cannot be read: {missing}") from None


def seconds(text: str) -> float:
    """A Go duration such as ``1m30s`` or ``100ms``. Raises :class:`SpecError`."""
    parts = _PART.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        raise SpecError(f'time: invalid duration "{text}"')
    return float(sum(float(number) * _UNITS_S[unit] for number, unit in parts))


def _selection(spec: Object, path: str) -> Selection:
    mode, value = spec.get("mode", ""), str(spec.get("value") or "")
    if mode not in ("one", "all", "fixed", "fixed-percent", "random-max-percent"):
        raise SpecError(f'{path}.mode: "{mode}" is none of one, all, fixed, fixed-percent, random-max-percent')
    if mode.startswith(("fixed", "random")):
        highest = 100 if mode.endswith("percent") else None
        if not value.isdigit() or int(value) == 0 or (highest and int(value) > highest):
            raise SpecError(f'{path}.value: "{value}" is no number from 1{f" to {highest}" if highest else ""}')
    names = tuple(spec.get("containerNames") or ())
    return Selection(mode=mode, value=value, selector=spec.get("selector") or {}, containers=names)


def _network(spec: Object, selections: dict[str, Selection], duration_s: float | None) -> Plan:
    action, direction = spec.get("action", ""), spec.get("direction") or "to"
    if action not in ("delay", "loss", "partition", "netem"):
        raise SpecError(f'spec.action: "{action}" is not carried out here; delay, loss, netem and partition are')
    if direction not in ("to", "from", "both"):
        raise SpecError(f'spec.direction: "{direction}" is none of to, from, both')
    if spec.get("externalTargets"):
        raise SpecError("spec.externalTargets: only pods are targets here")
    if spec.get("target"):
        selections = selections | {".Target": _selection(spec["target"], "spec.target")}
    wanted = (action,) if action != "netem" else ("delay", "loss")
    delay = _field(spec, "delay", required=action == "delay") if "delay" in wanted else {}
    loss = _field(spec, "loss", required=action == "loss") if "loss" in wanted else {}
    if action == "netem" and not (delay or loss):
        raise SpecError("spec: netem is carried out for delay and loss, and neither is given")
    effect = Effect(
        delay_s=seconds(delay["latency"]) if delay else 0.0,
        jitter_s=seconds(delay.get("jitter") or "0ms") if delay else 0.0,
        loss=_percent(loss["loss"], "spec.loss.loss") / 100 if loss else 0.0,
        cut=action == "partition",
    )
    return Plan(action=action, selections=selections, duration_s=duration_s, effect=effect, direction=direction)


def _field(spec: Object, name: str, *, required: bool) -> Object:
    found = spec.get(name) or {}
    if required and not found:
        raise SpecError(f"spec.{name}: Required value")
    return dict(found)


def _percent(text: str, path: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise SpecError(f"{path}: {text} is no percentage")
    return value


def _stress(spec: Object, selections: dict[str, Selection], duration_s: float | None) -> Plan:
    stressors = spec.get("stressors") or {}
    memory, cpu = stressors.get("memory"), stressors.get("cpu")
    if not (memory or cpu):
        raise SpecError("spec.stressors: memory or cpu is required; stressngStressors are not carried out here")
    return Plan(
        action="stress",
        selections=selections,
        duration_s=duration_s,
        by_container=True,
        memory=_memory(memory) if memory else None,
        cpu=_cpu(cpu) if cpu else None,
    )


def _memory(stressor: Object) -> MemoryStress:
    workers, size = _workers(stressor, "memory"), str(stressor.get("size") or "100%")
    if size.endswith("%"):
        return MemoryStress(workers=workers, percent=_percent(size[:-1], "spec.stressors.memory.size"))
    match = _SIZE.fullmatch(size)
    if match is None:
        raise SpecError(f'spec.stressors.memory.size: "{size}" is no size such as 256MB or 50%')
    return MemoryStress(workers=workers, bytes=int(float(match[1]) * 1024 ** _POWERS[match[2].lower()]))


def _cpu(stressor: Object) -> CpuStress:
    load = _percent(stressor.get("load", 100), "spec.stressors.cpu.load")
    return CpuStress(workers=_workers(stressor, "cpu"), load=load / 100)


def _workers(stressor: Object, name: str) -> int:
    workers = int(stressor.get("workers") or 0)
    if not 1 <= workers <= 64:
        raise SpecError(f"spec.stressors.{name}.workers: {workers} is no number from 1 to 64")
    return workers


def _pod(spec: Object, selections: dict[str, Selection], duration_s: float | None) -> Plan:
    action = spec.get("action", "")
    if action not in ("pod-kill", "pod-failure", "container-kill"):
        raise SpecError(f'spec.action: "{action}" is none of pod-kill, pod-failure, container-kill')
    by_container = action == "container-kill"
    if by_container and not selections["."].containers:
        raise SpecError("spec.containerNames: Required value: the name of a container is required for container-kill")
    return Plan(
        action=action,
        selections=selections,
        duration_s=duration_s,
        by_container=by_container,
        one_shot=action != "pod-failure",
        grace_s=int(spec.get("gracePeriod") or 0),
    )
