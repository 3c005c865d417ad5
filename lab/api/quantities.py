"""Kubernetes quantities ("500m", "3Gi", "1e3") as exact numbers."""

from __future__ import annotations

from fractions import Fraction

from lab.api.schema import QUANTITY

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


def parse_quantity(text: str) -> Fraction | None:
    """The exact value, or None when the text is no quantity."""
    match = QUANTITY.match(text)
    if match is None:
        return None
    number, suffix = match.groups()
    try:
        if suffix in _SUFFIXES:
            return Fraction(number) * _SUFFIXES[suffix]
        return Fraction(number + suffix)
    except ValueError:
        return None


def quantity_text(value: Fraction, *, binary: bool) -> str:
    """A quantity as the API writes it: the largest unit that loses nothing, thousandths being the smallest."""
    if value.denominator != 1:
        return f"{-(-value * 1000 // 1)}m"
    number, units = int(value), ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki") if binary else ("E", "P", "T", "G", "M", "k")
    for unit in units:
        if number and number % _SUFFIXES[unit] == 0:
            return f"{number // int(_SUFFIXES[unit])}{unit}"
    return str(number)
