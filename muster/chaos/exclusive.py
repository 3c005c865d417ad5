"""One experiment at a time in one environment: a second would be judged on the first one's pages."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType
from typing import Self

from muster.errors import MusterError
from muster.faults import Ledger


class Exclusive:
    """Held by one process for its experiment; the kernel lets go when that process ends, however it ends.

    The file lies beside the ledger (``$MUSTER_STATE`` or ``.muster``), so it holds between those who share one.
    """

    def __init__(self, system: str, environment: str) -> None:
        self._place = f"{system}/{environment}"
        self._file = Ledger().folder.parent / f"experiment-{system}-{environment}.lock"
        self._handle = -1

    def __enter__(self) -> Self:
        """Take it. Raises :class:`~muster.errors.MusterError` when somebody else has it."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._file.read_text(encoding="utf-8") or "unknown"
            os.close(self._handle)
            raise MusterError(
                f"another experiment runs on {self._place} (process {holder}); two at once prove nothing"
            ) from None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, str(os.getpid()).encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        os.close(self._handle)
