"""The mesh as a graph: who sees whom, one way or both, and into how many parts it falls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Sees = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Graph:
    """Replicas and whom each of them sees; ``unread`` are replicas whose own view is not known."""

    sees: Sees
    unread: frozenset[str] = frozenset()

    @property
    def one_way(self) -> list[tuple[str, str]]:
        """Pairs (who sees, who is seen) whose other end, though its view is known, does not see back."""
        return sorted(
            (one, other)
            for one, others in self.sees.items()
            for other in others
            if other in self.sees and one not in self.sees[other]
        )

    @property
    def parts(self) -> list[list[str]]:
        """The connected components, largest first, over links that hold both ways.

        A link to a replica whose view is not known counts: it may hold.
        """
        roots = {name: name for name in (*self.sees, *self.unread)}

        def root(name: str) -> str:
            while roots[name] != name:
                roots[name] = roots[roots[name]]
                name = roots[name]
            return name

        for one, other in self._links():
            roots[root(one)] = root(other)
        found: dict[str, list[str]] = {}
        for name in roots:
            found.setdefault(root(name), []).append(name)
        return sorted((sorted(part) for part in found.values()), key=lambda part: (-len(part), part))

    def _links(self) -> Iterable[tuple[str, str]]:
        for one, others in self.sees.items():
            for other in others:
                if other in self.unread or (other in self.sees and one in self.sees[other]):
                    yield one, other
