"""Admission by ResourceQuotas: what a new object would use is counted with what is there, in the write itself."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from lab.api import clock, errors
from lab.api.quantities import parse_quantity, quantity_text
from lab.api.resources import Resource
from lab.api.selectors import lookup
from lab.api.store import Store

Body = dict[str, Any]
Usage = dict[str, Fraction]
_NAMED = {"pods", "services", "configmaps", "secrets", "resourcequotas"}
_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory"}
_COMPUTE = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


class QuotaAdmission:
    """Refuses what a quota has no room for. Nothing can be written between the count and the write: one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, row: Resource, new: Body, old: Body | None) -> None:
        """Raises 403 for a new object that would exceed a quota, or that does not say what a quota asks for."""
        if old is not None or not row.namespaced:
            return
        metadata = new["metadata"]
        for stored in self._store.list("resourcequotas", metadata["namespace"]):
            why = self._refusal(row, new, stored.body)
            if why:
                raise errors.forbidden(row.plural, row.group, metadata["name"], why)

    def _refusal(self, row: Resource, new: Body, quota: Body) -> str:
        spec, name = quota.get("spec") or {}, quota["metadata"]["name"]
        hard = {key: parse_quantity(text) or Fraction(0) for key, text in (spec.get("hard") or {}).items()}
        wanted = self._usage(row, [new], spec)
        names = sorted(key for key in hard if wanted.get(key))
        missing = _missing(row, new, hard) if _in_scope(row, new, spec) else ""
        if missing:
            return f"failed quota: {name}: must specify {missing}"
        if not names:
            return ""
        held = self._usage(
            row, [one.body for one in self._store.list(row.stored_as, new["metadata"]["namespace"])], spec
        )
        over = [key for key in names if held.get(key, Fraction(0)) + wanted[key] > hard[key]]
        if not over:
            return ""
        amounts = (wanted, held, hard)
        asked, used, limited = (",".join(f"{key}={_text(key, one)}" for key in over) for one in amounts)
        return f"exceeded quota: {name}, requested: {asked}, used: {used}, limited: {limited}"

    def _usage(self, row: Resource, bodies: Iterable[Body], spec: Body) -> Usage:
        """What these objects of one kind are charged with, under every name that a quota may give it."""
        counted = [body for body in bodies if _in_scope(row, body, spec) and _charged(row, body)]
        number = Fraction(len(counted))
        usage: Usage = {f"count/{row.plural}{f'.{row.group}' if row.group else ''}": number}
        if not row.group and row.plural in _NAMED:
            usage[row.plural] = number
        if row.kind == "Pod":
            for key in _COMPUTE:
                usage[key] = sum((_asked(body, key) for body in counted), Fraction(0))
            usage.update({short: usage[key] for short, key in _SHORT.items()})
        return usage


def _in_scope(row: Resource, body: Body, spec: Body) -> bool:
    scopes = spec.get("scopes") or ()
    if not scopes:
        return True
    if row.kind != "Pod":
        return False
    best_effort = lookup(body, "status.qosClass") == "BestEffort"
    ends = lookup(body, "spec.activeDeadlineSeconds") is not None
    holds = {
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "Terminating": ends,
        "NotTerminating": not ends,
    }
    return all(holds.get(scope, True) for scope in scopes)


def _charged(row: Resource, body: Body) -> bool:
    """A pod that has ended, or should have by now, holds nothing any more."""
    if row.kind != "Pod":
        return True
    if lookup(body, "status.phase") in {"Succeeded", "Failed"}:
        return False
    end = clock.parse(body["metadata"].get("deletionTimestamp"))
    return end is None or end >= clock.now()


def _asked(body: Body, key: str) -> Fraction:
    kind, _, resource = key.partition(".")
    amounts = (lookup(one, f"resources.{kind}") or {} for one in lookup(body, "spec.containers") or ())
    return sum((parse_quantity(str(one.get(resource, "0"))) or Fraction(0) for one in amounts), Fraction(0))


def _missing(row: Resource, body: Body, hard: Usage) -> str:
    """A quota of cpu or memory wants every container to say how much it needs."""
    if row.kind != "Pod":
        return ""
    parts = []
    for key in sorted(hard):
        kind, _, resource = _SHORT.get(key, key).partition(".")
        if f"{kind}.{resource}" in _COMPUTE:
            containers = lookup(body, "spec.containers") or ()
            silent = [one["name"] for one in containers if resource not in (lookup(one, f"resources.{kind}") or {})]
            if silent:
                parts.append(f"{key} for: {','.join(sorted(silent))}")
    return "; ".join(parts)


def _text(key: str, amounts: Usage) -> str:
    return quantity_text(amounts.get(key, Fraction(0)), binary=key.endswith("memory"))
