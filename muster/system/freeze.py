"""When nothing may be changed: freezes of an environment, by date or every week. Pure: the time is given."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from muster.system.fact import Fact, FactError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(r"([A-Za-z]{3})[a-z]*\s+([01]?\d|2[0-3]):([0-5]\d)")


class Freeze(Fact):
    """One window, from and until as both RFC 3339 times, or both as a weekday and a time such as ``Fri 16:00``.

    The second kind comes back every week, in ``zone`` (an IANA name; summer time is followed). ``until`` is the first
    moment that is free again.
    """

    from_: str = Field(alias="from")
    until: str
    why: str = Field(min_length=1)  # told whoever is refused
    zone: str = "UTC"

    @field_validator("from_", "until", mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        """YAML reads an unquoted RFC 3339 time as a time; it is one text here."""
        return value.isoformat() if isinstance(value, datetime) else value

    @model_validator(mode="after")
    def _consistent(self) -> Freeze:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise FactError(f"{self.zone!r} is no time zone that is known here", "zone") from None
        kinds = [self._kind(key, text) for key, text in (("from", self.from_), ("until", self.until))]
        if kinds[0] != kinds[1]:
            raise FactError("from and until are one of a kind: two times, or two weekdays with their time", "until")
        if kinds[0] == "once" and _time(self.from_) >= _time(self.until):
            raise FactError("is not after from", "until")
        if kinds[0] == "weekly" and _weekly(self.from_) == _weekly(self.until):
            raise FactError("is the same moment as from: neither always nor never can be meant", "until")
        return self

    @staticmethod
    def _kind(key: str, text: str) -> str:
        match = _WEEKLY.fullmatch(text)
        if match:
            if match[1].lower() not in _DAYS:
                raise FactError(f"{match[1]!r} is no weekday; write it like Fri 16:00", key)
            return "weekly"
        try:
            aware = _time(text).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise FactError(
                f"{text!r} is neither a time with its offset, such as 2026-12-24T00:00:00Z, nor like Fri 16:00", key
            )
        return "once"

    def ends(self, at: float) -> float | None:
        """When the window that ``at`` lies in ends, seconds since the epoch; None when it lies in none."""
        if _WEEKLY.fullmatch(self.from_) is None:
            start, end = _time(self.from_).timestamp(), _time(self.until).timestamp()
            return end if start <= at < end else None
        local = datetime.fromtimestamp(at, ZoneInfo(self.zone))
        monday = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=local.weekday())
        for week in (-1, 0):  # one that began last week may still last
            start = self._at(monday + timedelta(weeks=week), self.from_)
            end = self._at(monday + timedelta(weeks=week), self.until)
            if end <= start:
                end = self._at(monday + timedelta(weeks=week + 1), self.until)
            if start <= at < end:
                return end
        return None

    def _at(self, monday: datetime, text: str) -> float:
        """A weekday's time in the week of that Monday (wall clock), seconds since the epoch."""
        days, hours, minutes = _weekly(text)
        wall = monday + timedelta(days=days, hours=hours, minutes=minutes)
        return wall.replace(tzinfo=ZoneInfo(self.zone)).timestamp()


def frozen(freezes: Iterable[Freeze], at: float) -> str:
    """Why nothing may be changed at ``at`` (seconds since the epoch), in a sentence; empty when it may.

    Of several windows the one that ends last is named: until then it stays so.
    """
    found = [(end, freeze.why) for freeze in freezes if (end := freeze.ends(at)) is not None]
    if not found:
        return ""
    end, why = max(found)
    return f"changes are frozen until {datetime.fromtimestamp(end, UTC):%Y-%m-%dT%H:%M:%SZ}: {why}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _weekly(text: str) -> tuple[int, int, int]:
    """Weekday (Monday is 0), hour and minute."""
    match = _WEEKLY.fullmatch(text)
    assert match is not None  # noqa: S101 - validated
    return _DAYS.index(match[1].lower()), int(match[2]), int(match[3])
