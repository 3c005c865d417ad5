"""The one way a judge says no. Not a bare ``assert``: ``python -O`` would turn every claim into a pass."""

from __future__ import annotations


def claim(holds: bool, otherwise: str) -> None:
    """Raise AssertionError with the sentence ``otherwise`` unless the claim holds."""
    if not holds:
        raise AssertionError(otherwise)
