"""What the facts or the environment do not state: a check that needs it is skipped, with that reason."""

from __future__ import annotations

from typing import TypeVar

from muster.errors import Unknown

T = TypeVar("T")


class Undeclared(Unknown):
    """Not unknown because something failed, but because nobody claims it here: pytest shows a skip."""


def declared(fact: T | None, what: str) -> T:
    """The fact itself. Raises :class:`Undeclared` when the system's facts do not state it."""
    if fact is None:
        raise Undeclared(f"the system's facts do not say {what}")
    return fact
