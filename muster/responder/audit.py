"""The responder's audit: JSON lines, appended and synced, read back at start; its kinds are the timeline's."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from muster.errors import MusterError
from muster.responder.metrics import Series, counted
from muster.timeline import Kind

KEPT = 10_000  # records that can be asked for; the file keeps all


class AuditError(MusterError):
    """A record could not be put on disk."""


class Audit:
    """Appends records ``{"at", "kind", "alert", "message", "data"}``. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._records: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._counts: Counter[Series] = Counter()  # of all records, also of those that are no longer kept
        self.ailment = ""  # why the last record could not be put on disk
        self.unreadable = 0  # lines of an earlier run that cannot be read (cut off by a crash)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab+")
        except OSError as error:
            raise AuditError(f"the audit file {path} cannot be opened: {error.strerror}") from error
        self._load()

    def _load(self) -> None:
        self._file.seek(0)
        last = b"\n"
        for last in self._file:
            try:
                record = json.loads(last)
                self._keep({**record, "at": float(record["at"])})
            except (ValueError, KeyError, TypeError):
                self.unreadable += 1
        if not last.endswith(b"\n"):
            self._file.write(b"\n")

    def append(self, kind: Kind, *, alert: str, message: str, **data: Any) -> dict[str, Any]:
        """Put one record on disk, stamped now. Raises :class:`AuditError`; the record is then not kept either."""
        with self._lock:
            record = {
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
            return record

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
