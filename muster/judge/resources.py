"""What the containers ask for: limits that leave room for the alerts, and requests that the scheduler can count on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.pods import Ask, Pod, staying
from muster.judge.quantity import amount
from muster.system.units import Unit, show
from muster.verdict import SLOWarning


def assert_memory_limit_above(pods: tuple[Pod, ...], threshold_bytes: float) -> None:
    """The limit that kills a pod lies above the threshold that warns of it: else nobody is told before it dies.

    Without a limit nothing kills it before the node does, and the node kills others, too: that warns.
    """
    for pod, ask in _mains(pods):
        text = ask.limits.get("memory")
        if text is None:
            message = f"{pod.name}/{ask.name} has no memory limit: the node's memory is all that ends it"
            warnings.warn(message, SLOWarning, stacklevel=2)
            continue
        fits = amount(text) > threshold_bytes
        limit = f"memory limit {text} of {pod.name}/{ask.name}"
        claim(fits, f"{limit} kills it before the alert at {show(threshold_bytes, Unit.BYTES)} fires")


def assert_cpu_limit_above(pods: tuple[Pod, ...], threshold_cores: float) -> None:
    """A CPU limit, where there is one, lies above the alert's threshold: else it throttles before anybody is told."""
    for pod, ask in _mains(pods):
        text = ask.limits.get("cpu")
        if text is not None:
            limit = f"CPU limit {text} of {pod.name}/{ask.name}"
            fires = f"the alert at {threshold_cores:g} cores can never fire: it is throttled before"
            claim(amount(text) > threshold_cores, f"{limit} is too low, and {fires}")


def assert_requests_are_set(pods: tuple[Pod, ...]) -> None:
    """The container requests CPU and memory: without, it is the first to be evicted, and no scale can be counted on."""
    for pod, ask in _mains(pods):
        missing = [resource for resource in ("cpu", "memory") if not amount(ask.requests.get(resource, "0"))]
        what = " and no ".join(missing)
        claim(not missing, f"{pod.name}/{ask.name} requests no {what}: it is evicted first when its node runs short")


def _mains(pods: tuple[Pod, ...]) -> Iterator[tuple[Pod, Ask]]:
    """The container that the alerts are about, of every pod that stays. Raises Unknown when a pod has none such."""
    for pod in staying(pods):
        main = next((ask for ask in pod.asks if ask.main), None)
        if main is None:
            names = ", ".join(ask.name for ask in pod.asks) or "none"
            raise Unknown(f"{pod.name} has not the container that the environment names (it has {names})")
        yield pod, main
