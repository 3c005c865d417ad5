"""The responder's audit: JSON lines, appended and synced, read back at start; its kinds are the timeline's.

A file that has grown to TURNED_BYTES is set aside as ``<file>.1``, in place of the one before it, and a new one begins
with the totals so far: counters go on where they were. Each step leaves files from which the next start reads all.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import IO, Any

from muster.errors import MusterError
from muster.responder.metrics import Series, counted
from muster.timeline import Kind

SCHEMA = "muster/audit/v1"  # of each line, described in docs/outputs.md
KEPT = 10_000  # records that can be asked for
TURNED_BYTES = 16_000_000  # some 40,000 records; at most twice as much is on disk, at least the newest so much
_TOTALS = "totals"  # what a file's first line holds, where another file went before


class AuditError(MusterError):
    """A record could not be put on disk."""


def aside(path: Path) -> Path:
    """Where the audit file goes when it is full."""
    return path.with_name(f"{path.name}.1")


def forget(path: Path) -> None:
    """Remove an audit file and the one before it."""
    for file in (path, aside(path)):
        file.unlink(missing_ok=True)


class Audit:
    """Appends records ``{"schema", "at", "kind", "alert", "message", "data"}``. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._records: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._counts: Counter[Series] = Counter()  # of all records, also of those that are no longer kept
        self.ailment = ""  # why the last record could not be put on disk, or the file not be set aside
        self.unreadable = 0  # lines of an earlier run that cannot be read (cut off by a crash)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if aside(path).is_file():
                with aside(path).open("rb") as before:
                    self._load(before)
            self._file = path.open("ab+")
            self._file.seek(0)
            if not self._load(self._file).endswith(b"\n"):
                self._file.write(b"\n")
        except OSError as error:
            raise AuditError(f"the audit file {path} cannot be opened: {error.strerror}") from error

    def _load(self, file: IO[bytes]) -> bytes:
        """Read what is there; its last line, of which a crash may have left a part."""
        last = b"\n"
        for last in file:
            try:
                record = json.loads(last)
                if _TOTALS in record:
                    self._counts = Counter({(name, tuple(map(tuple, of))): n for name, of, n in record[_TOTALS]})
                else:
                    self._keep({**record, "at": float(record["at"])})
            except (ValueError, KeyError, TypeError):
                self.unreadable += 1
        return last

    def append(self, kind: Kind, *, alert: str, message: str, **data: Any) -> dict[str, Any]:
        """Put one record on disk, stamped now. Raises :class:`AuditError`; the record is then not kept either."""
        with self._lock:
            record = {
                "schema": SCHEMA,
                "at": time.time(),
                "kind": kind.value,
                "alert": alert,
                "message": message,
                "data": {"alert": alert, **data},
            }
            try:
                self._file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
                self._file.flush()
                os.fsync(self._file.fileno())
            except (OSError, ValueError) as error:
                self.ailment = f"the audit file {self.path} cannot be written: {error}"
                raise AuditError(self.ailment) from error
            self.ailment = ""
            self._keep(record)
            if self._file.tell() >= TURNED_BYTES:
                self._turn()
            return record

    def _turn(self) -> None:
        """Go on in a new file. The record that filled this one is on disk; what fails is tried again after the next."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            following = fresh.open("wb+")
        except OSError as error:
            self.ailment = f"{self._full}: {error}"
            return
        try:
            totals = [[name, labels, count] for (name, labels), count in self._counts.items()]
            following.write(json.dumps({"schema": SCHEMA, _TOTALS: totals}, separators=(",", ":")).encode() + b"\n")
            following.flush()
            os.fsync(following.fileno())
            if self.path.exists():  # else it is aside already, and the next step failed
                self.path.replace(aside(self.path))
            fresh.replace(self.path)
        except OSError as error:
            following.close()
            self.ailment = f"{self._full}: {error}"
            return
        self._file.close()
        self._file = following

    @property
    def _full(self) -> str:
        return f"the audit file {self.path} is full and cannot be set aside"

    def _keep(self, record: dict[str, Any]) -> None:
        self._records.append(record)
        series = counted(record)
        if series is not None:
            self._counts[series] += 1

    def counts(self) -> dict[Series, int]:
        """How often each counter of :mod:`muster.responder.metrics` was added to since the file began."""
        with self._lock:
            return dict(self._counts)

    def since(self, at: float) -> list[dict[str, Any]]:
        """The records stamped at or after ``at`` (seconds since the epoch), oldest first."""
        with self._lock:
            return [record for record in self._records if record["at"] >= at]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
