"""Readings and snapshots: what was seen, when, from where; or a typed reason why it was not.

A snapshot is plain JSON. Whatever judges it builds its typed views from that JSON, so a snapshot that was saved and
loaded again is judged exactly as it was the first time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from muster.errors import UsageError

SCHEMA = "muster/snapshot/v1"


class FailureKind(StrEnum):
    """Why a reading has no value."""

    REFUSED = "refused"  # nothing listens there
    UNREACHABLE = "unreachable"  # no such host, no route, the connection broke
    TIMEOUT = "timeout"
    TLS = "tls"  # certificate or handshake
    HTTP_STATUS = "http_status"
    FORBIDDEN = "forbidden"  # 401 or 403
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
            "readings": readings,
        }
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "snapshot") -> Snapshot:
        """Parse the text of a snapshot file. Raises :class:`~muster.errors.UsageError`, naming ``where``."""
        try:
            body = json.loads(text)
            if body["schema"] != SCHEMA:
                raise UsageError(f"{where} is a {body['schema']!r}, not a {SCHEMA}")
            readings = {name: _reading_from_json(name, raw) for name, raw in body["readings"].items()}
            return cls(
                readings=readings,
                **{key: body[key] for key in ("system", "environment", "time_scale", "taken_at", "took_s")},
            )
        except json.JSONDecodeError as error:
            raise UsageError(f"{where} is not JSON: {error.msg} at line {error.lineno}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"{where} is not a {SCHEMA}: {type(error).__name__} {error}") from None


def _reading_to_json(reading: Reading) -> dict[str, Any]:
    common: dict[str, Any] = {"source": reading.source, "at": reading.at, "took_s": reading.took_s}
    if reading.failure is not None:
        return {**common, "failure": asdict(reading.failure)}
    return {**common, "value": reading.value}


def _reading_from_json(name: str, raw: dict[str, Any]) -> Reading:
    failure = raw.get("failure")
    if (failure is None) == ("value" not in raw):
        raise ValueError(f"reading {name} needs exactly one of 'value' and 'failure'")
    return Reading(
        name=name,
        source=raw["source"],
        at=raw["at"],
        took_s=raw["took_s"],
        value=raw.get("value"),
        failure=Failure(FailureKind(failure["kind"]), failure["message"]) if failure else None,
    )
