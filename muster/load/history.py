"""The per-second figures that Locust writes, as the judge wants them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from muster.judge.seconds import Endpoint, LoadSecond

_KEYS = frozenset(field.name for field in fields(LoadSecond)) - {"endpoints"}


class Tail:
    """Reads a growing file of lines; :meth:`new` gives the seconds that were written since the last call."""

    def __init__(self, file: Path) -> None:
        self._file, self._read = file, 0

    def new(self) -> Iterator[LoadSecond]:
        """A line that is not yet whole is left for the next call."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                yield second(json.loads(line))


def second(raw: dict[str, Any]) -> LoadSecond:
    """One line of ``loadtests/gather.py``."""
    endpoints = {name: Endpoint(**told) for name, told in raw["endpoints"].items()}
    return LoadSecond(**{key: raw[key] for key in _KEYS if key in raw}, endpoints=endpoints)


def names(seconds: Iterable[LoadSecond]) -> list[str]:
    """Every endpoint that was asked, in the order of the mix."""
    return list(dict.fromkeys(name for one in seconds for name in one.endpoints))
