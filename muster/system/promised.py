"""Rates that follow what a system promises of its throughput: ``objective``, ``target``, ``50% of target``."""

from __future__ import annotations

import re

from muster.errors import UsageError
from muster.system.model import System
from muster.system.units import Unit, parse_quantity

_PROMISED = re.compile(r"(?:([0-9]+(?:\.[0-9]+)?)% of )?(objective|target)")


def is_rate(text: str) -> str:
    """The text, when it is a rate. Raises :class:`~muster.system.fact.FactError` when it is none."""
    if not _PROMISED.fullmatch(text):
        parse_quantity(text, Unit.PER_SECOND)
    return text


def rate_of(text: str, system: System) -> float:
    """Requests per second; a number alone is so many.

    Raises :class:`~muster.errors.UsageError`, also when the system promises no such thing.
    """
    text = f"{text}/s" if re.fullmatch(r"[0-9.]+", text) else text
    match = _PROMISED.fullmatch(text)
    if match is None:
        try:
            return parse_quantity(text, Unit.PER_SECOND)
        except ValueError as error:
            raise UsageError(f"{error}, or objective, target, 50% of target") from None
    slo = system.slo.get("throughput")
    limit = getattr(slo, match[2]) if slo else None
    if limit is None:
        raise UsageError(f"the load wants {text!r}, but {system.name} states no {match[2]} of its throughput")
    return float(limit.bound) * float(match[1] or 100) / 100
