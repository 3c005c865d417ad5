"""Kubernetes quantities: ``100m`` of a core, ``3Gi`` of memory, ``10`` pods."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

from muster.errors import Unknown

# Decimal, because 950m is 0.95 of a core, and not a hair more: it is compared with thresholds.
_SUFFIXES = {
    **{suffix: Decimal(1024**power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{suffix: Decimal(10) ** power for suffix, power in (("n", -9), ("u", -6), ("m", -3), ("k", 3))},
    **{suffix: Decimal(10) ** power for suffix, power in (("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18))},
}


def amount(text: object) -> float:
    """The number behind a quantity, in cores, bytes or pieces. Raises Unknown when it is none."""
    return _parsed(str(text))


@lru_cache(maxsize=1024)  # a thousand pods ask for the same
def _parsed(written: str) -> float:
    suffix = next((known for known in _SUFFIXES if written.endswith(known)), "")
    try:
        number = Decimal(written.removesuffix(suffix))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise Unknown(f"{written!r} is not a Kubernetes quantity")
    return float(number * _SUFFIXES.get(suffix, Decimal(1)))


def show(value: float, resource: str) -> str:
    """As an operator writes it: ``700m`` cores, ``448Mi``, ``4`` pods."""
    if resource.endswith(("memory", "storage")):
        return f"{value / 2**30:.3g}Gi" if value >= 2**30 else f"{value / 2**20:.4g}Mi"
    if resource.endswith("cpu") and value != int(value):
        return f"{value * 1000:.4g}m"
    return f"{value:g}"
