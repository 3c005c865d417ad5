"""The ledger: one JSON file per fault, on disk before the fault is in the world.

A fault goes opening -> injected -> healed. Every write is atomic and synced (file and folder), so a process that is
killed at any instant leaves either no record and no fault, or a record from which a new process can heal.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from muster.errors import MusterError
from muster.faults import owner

SCHEMA: Literal["muster/fault/v1"] = "muster/fault/v1"
State = Literal["opening", "injected", "healed"]


class LedgerError(MusterError):
    """A record cannot be read or written."""


class Entry(BaseModel):
    """One fault: what was or is about to be done, to what, and how it is undone."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["muster/fault/v1"] = Field(SCHEMA, alias="schema")
    id: str = Field(pattern=r"^[a-z0-9_-]+$")  # also the file's name
    kind: str  # module of muster.faults that can undo it
    system: str
    environment: str
    server: str  # the API server that the fault was meant for; healing anywhere else is refused
    namespace: str
    target: str  # what is touched, in words: "deployment/x0tta6bl4-staging"
    undo: dict[str, Any]  # what the kind's heal() needs, and nothing it could read only before the fault
    opened_at: float  # seconds since the epoch
    injected_at: float | None = None
    expires_at: float
    healed_at: float | None = None
    note: str = ""
    pods: int = 0  # of the system's, that it touches
    ready: int = 0  # so many were there when it was aimed
    state: State = "opening"
    pid: int = 0  # of the process that opened it; 0: nobody knows
    pid_since: float = 0.0  # when that process began, in seconds since the epoch

    @property
    def open(self) -> bool:
        """Whether something may be left to undo."""
        return self.state != "healed"

    @property
    def owned(self) -> bool:
        """Whether the process that opened it is alive on this machine."""
        return owner.lives(self.pid, self.pid_since)

    def expired(self, now: float | None = None) -> bool:
        """Whether the fault has outlived what it was injected for."""
        return (time.time() if now is None else now) >= self.expires_at


class Ledger:
    """The records below one folder (default: ``$MUSTER_STATE`` or ``.muster``), in its subfolder ``ledger``."""

    def __init__(self, folder: Path | str | None = None) -> None:
        base = Path(folder) if folder is not None else Path(os.environ.get("MUSTER_STATE") or ".muster")
        self.folder = base / "ledger"
        self._opened: list[str] = []

    @property
    def kept(self) -> bool:
        """Whether any drill has ever kept its records here; where none has, "no faults" would be no knowledge."""
        return self.folder.is_dir()

    @property
    def where(self) -> Path:
        """The folder's full path, for sentences."""
        return self.folder.absolute()

    def begin(self) -> None:
        """Make the folder, for its user's eyes only: records hold whole pod templates. Raises LedgerError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.folder.stat().st_uid == os.geteuid():  # one that an older Muster made
                self.folder.chmod(0o700)
        except OSError as error:
            raise LedgerError(
                f"the ledger cannot write {self.where}, so nothing was changed: {error.strerror}"
            ) from error

    def open(
        self,
        kind: str,
        *,
        system: str,
        environment: str,
        server: str,
        namespace: str,
        target: str,
        undo: dict[str, Any],
        expires_s: float = 600.0,
        pods: int = 0,
        ready: int = 0,
    ) -> Entry:
        """Write the record of a fault that is about to be injected. Only when this returns may it be."""
        now = time.time()
        entry = Entry(
            id=f"{time.strftime('%Y%m%dt%H%M%S', time.gmtime(now))}-{kind}-{secrets.token_hex(3)}",
            kind=kind,
            system=system,
            environment=environment,
            server=server,
            namespace=namespace,
            target=target,
            undo=undo,
            opened_at=now,
            expires_at=now + expires_s,
            pods=pods,
            ready=ready,
            pid=os.getpid(),
            pid_since=owner.began(os.getpid()) or 0.0,
        )
        self._opened.append(entry.id)  # before it is on disk: no signal may come in between
        self._write(entry)
        return entry

    def injected(self, entry: Entry, *, at: float | None = None, note: str = "") -> Entry:
        """Record that the world has accepted the fault, at ``at`` (default: now); ``note`` says what it answered.

        Raises :class:`LedgerError` when it was healed meanwhile: it expired before it was in the world.
        """
        if not self.get(entry.id).open:
            raise LedgerError(f"fault {entry.id} expired while it was being injected")
        return self._replace(entry, state="injected", injected_at=time.time() if at is None else at, note=note)

    def healed(self, entry: Entry, note: str = "") -> Entry:
        """Record that nothing is left to undo; ``note`` says what was done."""
        return self._replace(entry, state="healed", healed_at=time.time(), note=note)

    def file_of(self, entry: Entry) -> Path:
        """Where an entry's record lies."""
        return self._path(entry.id)

    def get(self, entry_id: str) -> Entry:
        """One record. Raises :class:`LedgerError` when it is missing or unreadable."""
        return _read(self._path(entry_id))

    def forget(self, entry_id: str) -> None:
        """Delete a record, readable or not, without healing: for faults whose cluster is gone."""
        path = self._path(entry_id)
        if not path.is_file():
            raise LedgerError(f"the ledger {self.folder} holds no fault {entry_id!r}")
        path.unlink()
        _sync_folder(self.folder)

    def records(self) -> Iterator[Entry | LedgerError]:
        """Every record, oldest first; an unreadable one is yielded as its error, so that it hides no other."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                yield _read(path)
            except LedgerError as error:
                yield error

    def mine(self) -> Iterator[Entry | LedgerError]:
        """The records that were opened through this very object and are still there, newest first."""
        for entry_id in reversed(self._opened):
            if self._path(entry_id).exists():
                try:
                    yield self.get(entry_id)
                except LedgerError as error:
                    yield error

    def entries(self) -> list[Entry]:
        """The readable records, oldest first."""
        return [record for record in self.records() if isinstance(record, Entry)]

    def left(self) -> list[Entry]:
        """The records that may still have something to undo, oldest first."""
        return [entry for entry in self.entries() if entry.open]

    def _path(self, entry_id: str) -> Path:
        if not entry_id or not set(entry_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-"):
            raise LedgerError(f"{entry_id!r} is not the id of a fault")
        return self.folder / f"{entry_id}.json"

    def _replace(self, entry: Entry, **changes: Any) -> Entry:
        changed = entry.model_copy(update=changes)
        self._write(changed)
        return changed

    def _write(self, entry: Entry) -> None:
        path = self._path(entry.id)
        part = path.with_suffix(f".{os.getpid()}.part")
        self.begin()
        try:
            with open(part, "w", encoding="utf-8", opener=_private) as file:
                file.write(json.dumps(entry.model_dump(by_alias=True), indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(self.folder)
        except OSError as error:
            raise LedgerError(f"the ledger cannot write {path}, so nothing was changed: {error.strerror}") from error


def _read(path: Path) -> Entry:
    try:
        return Entry.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LedgerError(f"the ledger cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LedgerError(
            f"the fault record {path} is corrupt ({where + ': ' if where else ''}{first['msg']}); "
            f"look at the environment by hand, then drop it: muster heal --forget {path.stem}"
        ) from error


def _private(path: str, flags: int) -> int:
    """For its user's eyes only: the variables of a template may be secrets."""
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
