"""Ends whatever a lab has left running and removes what must not outlive it. Logs stay."""

from __future__ import annotations

import os
import shutil

from lab import cgroups
from lab.daemon import records
from lab.daemon.folder import Folder
from lab.errors import LabError

GRACE_S = 1.0
_FIRST = ("daemon", "agent", "controllers")  # whoever would replace what is ended next


def sweep(folder: Folder) -> None:
    """End every recorded process but this one, then remove endpoints, sockets and the records of what has ended.

    Raises :class:`LabError` when a process survives even SIGKILL.
    """
    if folder.records.is_dir():
        _end_everyone(folder)
    if folder.sockets != folder.root:
        shutil.rmtree(folder.sockets, ignore_errors=True)


def _end_everyone(folder: Folder) -> None:
    survivors = []
    for first in (True, False):
        # Read anew each time: the agent may have started a pod while it was being ended.
        everyone = [record for record in records.read_all(folder.records) if record.pid != os.getpid()]
        found = [record for record in everyone if (record.name in _FIRST) is first]
        processes = [process for record in found if (process := record.process())]
        survivors += records.end(processes, GRACE_S)
    if survivors:
        raise LabError(f"these processes of the lab cannot be ended: {', '.join(str(each.pid) for each in survivors)}")
    cgroups.sweep(folder.root)
    folder.endpoints.unlink(missing_ok=True)
    for path in folder.root.rglob("*"):
        if path.is_socket():
            path.unlink(missing_ok=True)
    for path in folder.records.glob("*.json"):
        record = records.read(path)
        if record is None or record.pid != os.getpid():  # ours stands until we are gone, for those who wait for that
            path.unlink(missing_ok=True)
