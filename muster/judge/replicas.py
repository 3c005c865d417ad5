"""What was read of every replica: views in which a replica that could not be read cannot be overlooked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from muster.errors import Unknown

T = TypeVar("T")


class Replicas(Mapping[str, T], Generic[T]):
    """Replica -> what was read of it, in order of name, those that could not be read last.

    Getting one of those raises :class:`~muster.errors.Unknown`. So a plain loop over ``items()`` judges every replica
    that is known, may fail on any of them, and never ends as a pass while one is unknown.
    """

    def __init__(self, name: str, raw: Mapping[str, Any], build: Callable[[str, Any], T]) -> None:
        self._name = name
        self._build = build
        self._built: dict[str, T] = {}  # many checks look at one replica
        self._known = {replica: raw[replica] for replica in sorted(raw) if not _failed(raw[replica])}
        self._failed = {replica: raw[replica]["failure"]["message"] for replica in sorted(raw) if _failed(raw[replica])}

    def __getitem__(self, replica: str) -> T:
        if replica in self._failed:
            raise Unknown(f"{self._name} of {replica}: {self._failed[replica]}")
        if replica not in self._known:
            raise Unknown(f"{self._name}: nothing was read of {replica}")
        if replica not in self._built:
            self._built[replica] = self._build(replica, self._known[replica])
        return self._built[replica]

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from self._failed

    def __len__(self) -> int:
        return len(self._known) + len(self._failed)

    def __contains__(self, replica: object) -> bool:
        return replica in self._known or replica in self._failed


def _failed(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"failure"}


@dataclass(frozen=True)
class Body:
    """A JSON object that somebody else wrote: what is absent or of another type is UNKNOWN, never a default."""

    where: str
    raw: Mapping[str, Any]

    def get(self, key: str, kind: type[T]) -> T:
        """The value of ``key``. Raises :class:`~muster.errors.Unknown` unless it is there and of that type."""
        value = self.raw.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            found = f"{type(value).__name__} {key!r}" if key in self.raw else f"no {key!r}"
            raise Unknown(f"{self.where} has {found} where a {kind.__name__} is needed")
        return value


@dataclass(frozen=True)
class Answer:
    """What ``/health`` answered: HTTP status and body."""

    where: str
    status_code: int
    body: Mapping[str, Any]

    @property
    def status(self) -> str:
        """The ``status`` it claims; "" on an error page without JSON."""
        return "" if not self.body and self.status_code != 200 else Body(self.where, self.body).get("status", str)

    @property
    def version(self) -> str:
        """The ``version`` it serves. Raises Unknown when it names none."""
        return Body(self.where, self.body).get("version", str)

    @property
    def dependencies(self) -> Mapping[str, Mapping[str, Any]]:
        """Its dependencies with their state. Raises Unknown when it lists none at all."""
        return Body(self.where, self.body).get("dependencies", dict)


def answer(where: str, raw: Mapping[str, Any]) -> Answer:
    """One :class:`Answer`."""
    return Answer(where, raw["status_code"], raw["body"])
