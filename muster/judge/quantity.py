"""Kubernetes quantities: ``100m`` of a core, ``3Gi`` of memory, ``10`` pods."""

from __future__ import annotations

from muster.errors import Unknown

_SUFFIXES = {
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
}  # fmt: skip


def amount(text: object) -> float:
    """The number behind a quantity, in cores, bytes or pieces. Raises Unknown when it is none."""
    written = str(text)
    suffix = next((known for known in _SUFFIXES if written.endswith(known)), "")
    try:
        return float(written.removesuffix(suffix)) * _SUFFIXES.get(suffix, 1.0)
    except ValueError:
        raise Unknown(f"{written!r} is not a Kubernetes quantity") from None


def show(value: float, resource: str) -> str:
    """As an operator writes it: ``700m`` cores, ``448Mi``, ``4`` pods."""
    if resource.endswith(("memory", "storage")):
        return f"{value / 2**30:.3g}Gi" if value >= 2**30 else f"{value / 2**20:.4g}Mi"
    if resource.endswith("cpu") and value != int(value):
        return f"{value * 1000:.4g}m"
    return f"{value:g}"
