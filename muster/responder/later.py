"""What is looked at again by itself: when what stood against it is due to end, and after a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from muster.responder.decide import UNDER_WAY, UNKNOWN, Refusal
from muster.responder.webhook import Alert, MalformedError, from_record
from muster.timeline import Kind

_LOG = logging.getLogger("muster.responder")
CATCH_UP_S = 300.0  # after a restart: since the alert came, or since what stood against it was due to end
_MOST = 1000  # alerts that wait


@dataclass(frozen=True)
class Look:
    """An alert that was refused for a reason that ends, and when to look at it again."""

    alert: Alert
    reason: str
    at: float  # when the reason ends, at the latest: seconds since the epoch
    since: float  # when it was refused, monotonic
    spent: frozenset[str] = frozenset()  # reasons that were waited for, this one among them: each is, once


def again(alert: Alert, no: Refusal, *, since: float, spent: frozenset[str]) -> Look | None:
    """The look that is owed to a refused alert; None when its reason has no known end or was waited for before."""
    if not no.ends_at or no.name in spent:
        return None
    return Look(alert, no.name, no.ends_at, since, spent | {no.name})


class Later:
    """The looks that are due later, one for each alert. Not for several threads."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._looks: dict[str, Look] = {}

    def add(self, look: Look) -> None:
        """Keep it, in place of the alert's last one; where too many wait, the one that waits longest goes."""
        self.drop([look.alert.key])
        self._looks[look.alert.key] = look
        if len(self._looks) > self._most:
            del self._looks[next(iter(self._looks))]

    def drop(self, keys: Iterable[str]) -> None:
        """Forget alerts that are decided otherwise, or have resolved."""
        for key in keys:
            self._looks.pop(key, None)

    def due(self, now: float, free_since: Callable[[float], bool], *, but: Collection[str], room: int) -> list[Look]:
        """Take out what is due, at most ``room``: its time has come, or the lock that it waited for was seen free.

        Args:
            now: Seconds since the epoch.
            free_since: Whether the lock was seen free after a moment (monotonic).
            but: Alerts that are being decided.
            room: How many at most.
        """
        found = [
            look
            for key, look in self._looks.items()
            if key not in but and (look.at <= now or (look.reason == UNDER_WAY and free_since(look.since)))
        ][: max(0, room)]
        self.drop(look.alert.key for look in found)
        return found

    def __len__(self) -> int:
        return len(self._looks)


@dataclass
class Left:
    """What an earlier run left: alerts to decide now, looks that are due later, and what it decided for good."""

    undecided: list[Alert] = field(default_factory=list)
    waiting: list[Look] = field(default_factory=list)
    final: list[str] = field(default_factory=list)


@dataclass
class _Story:
    """What the audit tells of one open alert."""

    alert: Alert
    due: float  # since when it could be decided
    reason: str = ""  # of the last refusal; empty when nothing was decided
    owed: bool = True  # whether it is looked at again
    spent: frozenset[str] = frozenset()


def left_behind(records: Iterable[Mapping[str, Any]], now: float) -> Left:
    """Of an audit's records, as they are read back at start. Pure.

    Held against the clock, not against the audit's last record: what is old is for Alertmanager to ask again.
    """
    left, open_alerts = Left(), dict[str, _Story]()
    for record in records:
        data = record.get("data", {})
        key = data.get("key", "")
        if record.get("kind") == Kind.WEBHOOK_RECEIVED.value:
            try:
                open_alerts[key] = _Story(from_record(data), float(record["at"]))
            except MalformedError as error:
                _LOG.warning("not taken up: %s", error)
        elif record.get("kind") == Kind.ALERT_RESOLVED.value:
            open_alerts.pop(key, None)
        elif record.get("kind") == Kind.DECIDED.value:
            if data.get("final"):
                left.final.append(key)
            if key in open_alerts:
                _refused(open_alerts[key], data)
    for key in left.final:
        open_alerts.pop(key, None)
    for story in open_alerts.values():
        if not story.owed or story.due <= now - CATCH_UP_S:
            continue
        if story.reason in story.spent:
            left.waiting.append(Look(story.alert, story.reason, story.due, 0.0, story.spent))
        else:
            left.undecided.append(story.alert)
    return left


def _refused(story: _Story, data: Mapping[str, Any]) -> None:
    """A decision that was not final: one of no known end is not looked at again, nor a reason for the second time."""
    name, again_at = str(data.get("refusal", "")), data.get("again_at")
    known = isinstance(again_at, int | float)
    story.reason, story.owed = name, name == UNKNOWN or (known and name not in story.spent)
    if known and story.owed:
        story.due, story.spent = float(again_at or 0.0), story.spent | {name}
