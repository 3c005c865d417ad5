"""The state folder of one lab: where everything lies, whose it is, and who may change it now."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lab.errors import LabError

# A socket's address holds 108 bytes on Linux; HAProxy appends its own suffix while it binds.
LONGEST_SOCKET_PATH = 90
HAPROXY_SOCKET = Path("haproxy", "admin.sock")


@dataclass(frozen=True)
class Folder:
    """Names of the files below ``root`` (an absolute path)."""

    root: Path

    @classmethod
    def at(cls, state: Path | str) -> Self:
        """The folder that this path means, there or not. Raises :class:`LabError` for a "~" whose home nobody knows."""
        try:
            return cls(Path(state).expanduser().absolute())
        except RuntimeError:
            raise LabError(f"the state folder {state} lies in a home that this machine does not know") from None

    @classmethod
    def claim(cls, state: Path | str) -> Self:
        """The folder, created (mode 0700) when missing. Raises :class:`LabError` when it cannot be used."""
        folder = cls.at(state)
        try:
            folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(f"the state folder {folder.root} cannot be made: {error.strerror}") from None
        folder.check_owner()
        folder.claim_sockets()
        return folder

    def claim_sockets(self) -> None:
        """Make the private folder of the sockets. Raises :class:`LabError` when somebody else holds its name."""
        self.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = self.sockets.lstat()
        if not stat.S_ISDIR(held.st_mode) or held.st_uid != os.geteuid():
            raise LabError(f"{self.sockets} is not a folder of this user; remove it, or choose a shorter state folder")

    def check_owner(self) -> None:
        """Raise :class:`LabError` when the folder belongs to somebody else: its processes would, too."""
        owner = self.root.stat().st_uid
        if owner != os.geteuid():
            raise LabError(f"the state folder {self.root} belongs to another user (uid {owner}); choose your own")

    @property
    def plan(self) -> Path:
        """Addresses, allocated before anything is started."""
        return self.root / "plan.json"

    @property
    def endpoints(self) -> Path:
        """The same addresses, there only while the lab is up."""
        return self.root / "endpoints.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def records(self) -> Path:
        """One file per process that was started."""
        return self.root / "records"

    @property
    def logs(self) -> Path:
        """One log per component."""
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """Prometheus' and Alertmanager's configuration and rules."""
        return self.root / "config"

    @property
    def data(self) -> Path:
        """What Prometheus and Alertmanager store."""
        return self.root / "data"

    @property
    def sockets(self) -> Path:
        """Where sockets lie: here or, when this path is too long for one, under a short name in /tmp."""
        if len(os.fsencode(self.root / HAPROXY_SOCKET)) <= LONGEST_SOCKET_PATH:
            return self.root
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path("/tmp") / f"lab-{os.geteuid()}-{digest}"  # noqa: S108 - private by mode and owner, see claim_sockets

    @property
    def control_socket(self) -> Path:
        """Where the daemon takes commands."""
        return self.sockets / "control.sock"

    @property
    def haproxy_socket(self) -> Path:
        """HAProxy's runtime API."""
        return self.sockets / HAPROXY_SOCKET

    def log(self, component: str) -> Path:
        """The log of one component."""
        return self.logs / f"{component}.log"

    @contextmanager
    def locked(self, timeout_s: float) -> Iterator[None]:
        """Hold the folder for one change. The lock is on the folder itself, so no lock file can be left behind."""
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise LabError(
                            f"another command has been changing the lab in {self.root} for {timeout_s:.0f} s"
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(handle)


def write_private(path: Path, text: str) -> None:
    """Write atomically, readable by the owner only: nobody ever sees half a file or somebody else's secret."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file, or None when there is none (missing, torn, not an object)."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
