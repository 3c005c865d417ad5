"""Whether a namespace's ResourceQuotas leave room for more pods of a template. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from muster.errors import Unknown
from muster.workload import Json

_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|(m|[kMGTPE]i?|Ki)?)")
_SUFFIX = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)}
_SUFFIX |= {letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", 2)}
_SUFFIX |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_SCOPES = ("scopes", "scopeSelector")


def amount(text: object) -> Decimal:
    """A Kubernetes quantity (``100m``, ``64Mi``, ``1e3``) as a number. Raises :class:`~muster.errors.Unknown`."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise Unknown(f"{text!r} is no quantity of Kubernetes")
    return Decimal(match[1] + (match[2] or "")) * _SUFFIX[match[3] or ""]


def forbids(quotas: Iterable[Json], template: Json, more: int) -> str:
    """Why ``more`` pods of this template cannot be, in a sentence; empty when every quota has room.

    A quota with scopes may not count these pods at all; it is taken to, for a remedy that may fail is no remedy.
    """
    for quota in quotas:
        status = quota.get("status") or {}
        hard = status.get("hard") or quota["spec"].get("hard") or {}
        for name, limit in hard.items():
            each = _each(name, template)
            used = amount((status.get("used") or {}).get(name, "0"))
            if each and used + each * more > amount(limit):
                rest = max((amount(limit) - used) // each, Decimal(0))
                scoped = " (it has scopes)" if any(quota["spec"].get(key) for key in _SCOPES) else ""
                return (
                    f"quota {quota['metadata']['name']}{scoped} leaves room for {rest} more pods, {more} are needed: "
                    f"{name} {limit}, used {(status.get('used') or {}).get(name, '0')}"
                )
    return ""


def _each(name: str, template: Json) -> Decimal:
    """What one pod uses of a quota's resource; 0 of what pods do not count for."""
    if name in {"pods", "count/pods"}:
        return Decimal(1)
    kind, _, resource = name.rpartition(".")
    if name in {"cpu", "memory", "ephemeral-storage"}:
        kind, resource = "requests", name
    if kind not in {"requests", "limits"}:
        return Decimal(0)
    total = Decimal(0)
    for container in template["spec"].get("containers") or []:
        given = container.get("resources") or {}
        # What is only limited requests as much.
        value = (given.get(kind) or {}).get(resource) or ((given.get("limits") or {}).get(resource, "0"))
        total += amount(value)
    return total
