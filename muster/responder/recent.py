"""Keys that were seen lately: a set that forgets the one that was not asked for longest."""

from __future__ import annotations

from collections.abc import Iterable

from muster.responder.audit import KEPT


class Recent:
    """At most ``most`` keys. Not for several threads."""

    def __init__(self, keys: Iterable[str] = (), *, most: int = KEPT) -> None:
        self._most = most
        self._keys: dict[str, None] = {}
        self.update(keys)

    def add(self, key: str) -> None:
        """Know it from now on."""
        self._keys.pop(key, None)
        self._keys[key] = None
        while len(self._keys) > self._most:
            del self._keys[next(iter(self._keys))]

    def update(self, keys: Iterable[str]) -> None:
        """Know all of them."""
        for key in keys:
            self.add(key)

    def clear(self) -> None:
        """Know none."""
        self._keys.clear()

    def __contains__(self, key: str) -> bool:
        """Whether it is known; one that is asked for stays longer, as an alert does that is repeated for days."""
        if key not in self._keys:
            return False
        self.add(key)
        return True

    def __len__(self) -> int:
        return len(self._keys)
