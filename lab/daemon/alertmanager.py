"""The lab's Alertmanager: how it is run, and a configuration for a lab without routes."""

from __future__ import annotations

from pathlib import Path

from lab.daemon.folder import Folder

NOBODY = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def configuration_file(folder: Folder) -> Path:
    """Where the routes lie; the caller of ``up`` puts them there."""
    return folder.config / "alertmanager.yml"


def argv(program: str, folder: Folder, plan: dict[str, str]) -> tuple[str, ...]:
    """The command line: alone (an empty cluster address), on loopback."""
    return (
        program,
        f"--config.file={configuration_file(folder)}",
        f"--storage.path={folder.data / 'alertmanager'}",
        f"--web.listen-address={plan['alertmanager'].removeprefix('http://')}",
        "--cluster.listen-address=",
    )
