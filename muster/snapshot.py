"""Readings and snapshots: what was seen, when, from where; or a typed reason why it was not.

A snapshot is plain JSON. Whatever judges it builds its typed views from that JSON, so a snapshot that was saved and
loaded again is judged exactly as it was the first time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeVar

from muster.errors import UsageError

SCHEMA = "muster/snapshot/v1"
_T = TypeVar("_T")


class FailureKind(StrEnum):
    """Why a reading has no value."""

    REFUSED = "refused"  # nothing listens there
    UNREACHABLE = "unreachable"  # no such host, no route, the connection broke
    TIMEOUT = "timeout"
    TLS = "tls"  # certificate or handshake
    HTTP_STATUS = "http_status"
    FORBIDDEN = "forbidden"  # 401 or 403
    NOT_FOUND = "not_found"  # the Kubernetes API has no such object: deleted meanwhile, or another name
    REDIRECT = "redirect"  # never followed: evidence comes from the host that was named
    TOO_LARGE = "too_large"
    CONTENT_TYPE = "content_type"  # another kind of document than was asked for
    ENCODING = "encoding"  # not packed, or not in the character set, that it says
    UNPARSEABLE = "unparseable"
    EMPTY = "empty"  # answered, but with nothing in it: no samples, no traffic, no pods
    STALE = "stale"  # the newest sample is too old
    UNDECLARED = "undeclared"  # the environment names no such source: a check that needs it is skipped


@dataclass(frozen=True)
class Failure:
    """A typed failure to read, with one sentence."""

    kind: FailureKind
    message: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One value from one source at one instant: ``at`` in seconds since the epoch; exactly one of value and failure."""

    name: str
    source: str
    at: float
    took_s: float
    value: Any = None
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All readings of one instant of one environment. Holds no secrets."""

    system: str
    environment: str
    time_scale: float
    taken_at: float
    took_s: float
    readings: Mapping[str, Reading]
    interrupted: str = ""  # why the reading ended early, if it did: what is not in it is unknown

    def to_json(self) -> str:
        """The file's text; :meth:`from_json` gives back an equal snapshot."""
        readings = {name: _reading_to_json(self.readings[name]) for name in sorted(self.readings)}
        body = {
            "schema": SCHEMA,
            "system": self.system,
            "environment": self.environment,
            "time_scale": self.time_scale,
            "taken_at": self.taken_at,
            "took_s": self.took_s,
            **({"interrupted": self.interrupted} if self.interrupted else {}),
            "readings": readings,
        }
        return _lines(body, _DEEP) + "\n"

    def reading_json(self, name: str) -> str:
        """The text of one reading, as evidence."""
        return _lines(_reading_to_json(self.readings[name]), _DEEP - 2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "snapshot") -> Snapshot:
        """Parse the text of a snapshot file. Raises :class:`~muster.errors.UsageError`, naming ``where``."""
        try:
            body = json.loads(text)
        except json.JSONDecodeError as error:
            raise UsageError(f"{where} is not JSON: {error.msg} at line {error.lineno}") from None
        except UnicodeDecodeError as error:
            raise UsageError(f"{where} is not JSON: not UTF-8 at byte {error.start}") from None
        except RecursionError:
            raise UsageError(f"{where} is not a {SCHEMA}: it is nested without end") from None
        if not isinstance(body, dict) or not isinstance(body.get("schema"), str):
            raise UsageError(f"{where} is not a {SCHEMA}: it names no schema")
        if body["schema"] != SCHEMA:
            raise UsageError(f"{where} is a {body['schema']!r}, not a {SCHEMA}")
        try:
            readings = {name: _reading_from_json(name, raw) for name, raw in _typed(body, "readings", dict).items()}
            return cls(
                system=_typed(body, "system", str),
                environment=_typed(body, "environment", str),
                time_scale=_typed(body, "time_scale", float),
                taken_at=_typed(body, "taken_at", float),
                took_s=_typed(body, "took_s", float),
                readings=readings,
                interrupted=_typed({"interrupted": "", **body}, "interrupted", str),
            )
        except ValueError as error:
            raise UsageError(f"{where} is not a {SCHEMA}: {error}") from None


_DEEP = 4  # body, readings, one reading, its value: below that an entry, such as one replica, is one line


def _lines(value: Any, deep: int, indent: str = "") -> str:
    """JSON with so many levels spread over lines; the rest by the quick encoder, which knows no indentation."""
    if not deep or not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = indent + " "
    items = (
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {_lines(item, deep - 1, inner)}" for key, item in value.items()
    )
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"


_WORDS = {str: "a text", float: "a number", dict: "an object"}


def _typed(body: Any, key: str, kind: type[_T]) -> _T:
    """``body[key]``, which must be there and of that kind. Raises ValueError in words."""
    value = body.get(key) if isinstance(body, dict) else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind):
        raise ValueError(f"{key!r} should be {_WORDS[kind]}")  # noqa: TRY004 - the file's fault, not the caller's
    return value


def _reading_to_json(reading: Reading) -> dict[str, Any]:
    common: dict[str, Any] = {"source": reading.source, "at": reading.at, "took_s": reading.took_s}
    if reading.failure is not None:
        return {**common, "failure": asdict(reading.failure)}
    return {**common, "value": reading.value}


def _reading_from_json(name: str, raw: Any) -> Reading:
    try:
        failure = _failure_from_json(raw)
        source, at, took_s = _typed(raw, "source", str), _typed(raw, "at", float), _typed(raw, "took_s", float)
    except ValueError as error:
        raise ValueError(f"reading {name}: {error}") from None
    return Reading(name=name, source=source, at=at, took_s=took_s, value=raw.get("value"), failure=failure)


def _failure_from_json(raw: Any) -> Failure | None:
    if not isinstance(raw, dict) or ("failure" in raw) == ("value" in raw):
        raise ValueError("needs exactly one of 'value' and 'failure'")
    if "failure" not in raw:
        return None
    given = _typed(raw, "failure", dict)
    return Failure(FailureKind(_typed(given, "kind", str)), _typed(given, "message", str))
