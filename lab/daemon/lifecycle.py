"""What the command line does with a lab: up, down, status, stop, start."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.daemon import control, records
from lab.daemon.folder import Folder, read_json
from lab.daemon.planning import PORTS, daemon_runs, is_free
from lab.daemon.sweep import sweep
from lab.errors import LabError

LOCK_TIMEOUT_S = 90.0
ANSWER_TIMEOUT_S = 5.0
CHANGE_TIMEOUT_S = 30.0
BOOT_SILENCE_S = 75.0  # the daemon bounds its own waits below this
END_TIMEOUT_S = 6.0


class DamagedError(LabError):
    """A lab runs, but the file that says where is empty, torn, or without its keys."""


@dataclass(frozen=True, kw_only=True)
class ComponentState:
    """One component: ``state`` is running, starting, stopped (by somebody) or failed (by itself)."""

    name: str
    state: str
    pid: int | None
    since: float
    exit_code: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class PodState:
    """One pod, as ``kubectl get pods`` would tell it."""

    namespace: str
    name: str
    status: str
    ready: str
    restarts: int
    image: str
    ip: str
    ports: list[int]


@dataclass(frozen=True, kw_only=True)
class Status:
    """A lab now. ``pods`` is None when its API does not answer: not known is not "no pods".

    ``limits`` says who holds which limits of containers (``memory-limits``, ``cpu-limits``), empty when not known.
    """

    running: bool
    endpoints: dict[str, str]
    components: list[ComponentState]
    pods: list[PodState] | None
    limits: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether every component runs."""
        return self.running and all(component.state == "running" for component in self.components)


def up(state: Path, responder: list[str] | None, on_progress: Callable[[str], None] = lambda _: None) -> dict[str, str]:
    """Bring the planned lab up, or what is missing of a running one; return its endpoints.

    One whose endpoints file is missing or damaged cannot be used, and begins anew.
    ``responder`` is the command line of the component of that name, None for none. Nothing is left running when this
    raises, whether :class:`LabError` or KeyboardInterrupt.
    """
    folder = Folder.claim(state)
    with folder.locked(LOCK_TIMEOUT_S):
        if _complete(folder):
            return _addresses(folder)
        sweep(folder)
        folder.claim_sockets()
        _check_needs(folder)
        with _one_sentence(folder):
            _launch(folder, responder, on_progress)
        return _addresses(folder)


def down(state: Path) -> None:
    """End everything of the lab in this folder, whatever state it is in. Nothing happens when none runs."""
    folder = Folder.at(state)
    if not folder.root.is_dir():
        return
    folder.check_owner()
    # Before the lock: a boot in progress holds it, and ends with its daemon.
    daemon = records.read(folder.records / f"{control.DAEMON}.json")
    if daemon and (process := daemon.process()):
        process.terminate()
        _wait(lambda: daemon.process() is None, END_TIMEOUT_S)
    with folder.locked(END_TIMEOUT_S):
        sweep(folder)


def status(state: Path) -> Status:
    """What runs and what does not.

    Raises :class:`LabError` when the daemon lives but does not answer, or its endpoints are damaged.
    """
    folder = Folder.at(state)
    if not folder.root.is_dir() or not daemon_runs(folder):
        return Status(running=False, endpoints={}, components=[], pods=None)
    folder.check_owner()
    endpoints = _endpoints(folder) or {}
    answer = control.request(folder.control_socket, ANSWER_TIMEOUT_S, do="status")
    pods = answer["pods"]
    return Status(
        running=bool(endpoints),
        endpoints=endpoints,
        components=[ComponentState(**component) for component in answer["components"]],
        pods=None if pods is None else [PodState(**pod) for pod in pods],
        limits=dict(answer.get("limits", {})),
    )


def stop(state: Path, component: str) -> None:
    """Stop one component of a running lab: sabotage, for tests and people. Raises :class:`LabError`."""
    control.request(_running(state).control_socket, CHANGE_TIMEOUT_S, do="stop", component=component)


def start(state: Path, component: str) -> None:
    """Start one component of a running lab and wait until it is ready. Raises :class:`LabError`."""
    control.request(_running(state).control_socket, CHANGE_TIMEOUT_S, do="start", component=component)


def is_up(state: Path) -> bool:
    """Whether a lab runs here, in whatever health, and says where: one with damaged endpoints is of no use."""
    folder = Folder.at(state)
    try:
        return daemon_runs(folder) and _endpoints(folder) is not None
    except DamagedError:
        return False


@contextlib.contextmanager
def running(
    state: Path, begin: Callable[[], dict[str, str]], on_end: Callable[[], None] = lambda: None
) -> Iterator[dict[str, str]]:
    """The endpoints of a lab for a while.

    One that runs is used as it is, sabotage included, and left running; otherwise ``begin`` brings one up, and it is
    taken down afterwards (``on_end`` is called first). Raises :class:`DamagedError`: what runs is not ours to end.
    """
    folder = Folder.at(state)
    endpoints = _endpoints(folder) if daemon_runs(folder) else None
    if endpoints is not None:
        yield endpoints
        return
    endpoints = begin()
    try:
        yield endpoints
    finally:
        on_end()
        down(state)


def _running(state: Path) -> Folder:
    folder = Folder.at(state)
    if not daemon_runs(folder) or _endpoints(folder) is None:
        raise LabError(f"no lab runs in {folder.root}; `muster lab up` starts one")
    folder.check_owner()
    return folder


def _addresses(folder: Folder) -> dict[str, str]:
    endpoints = _endpoints(folder)
    if endpoints is None:
        raise LabError(f"the lab in {folder.root} was taken down by somebody else")
    return endpoints


def _endpoints(folder: Folder) -> dict[str, str] | None:
    """What the endpoints file says; None without one. Raises :class:`DamagedError`: it lacks addresses of the plan."""
    if not folder.endpoints.exists():
        return None
    endpoints, planned = read_json(folder.endpoints) or {}, read_json(folder.plan) or PORTS
    if any(not isinstance(endpoints.get(key), str) for key in planned):
        raise DamagedError(f"{folder.endpoints} is damaged: run `muster lab down` and `muster lab up`")
    return {str(key): str(value) for key, value in endpoints.items()}


def _complete(folder: Folder) -> bool:
    """Start what is missing of a running lab; False when there is none, or none that answers."""
    if not is_up(folder.root):
        return False
    try:
        missing = [component.name for component in status(folder.root).components if component.state != "running"]
        for component in missing:
            start(folder.root, component)
    except LabError:
        return False
    return True


def _check_needs(folder: Folder) -> None:
    """Raise :class:`LabError` for what can be known before anything is started."""
    from lab.daemon.components import PROGRAMS, port, program

    addresses = read_json(folder.plan)
    if addresses is None:
        raise LabError(f"there is no plan in {folder.root}; plan() makes one before up()")
    for component in PROGRAMS:
        program(component)
    for name in PORTS:
        if not is_free(int(port(addresses[name]))):
            raise LabError(f"port {port(addresses[name])}, planned for {name}, is in use by another program; try again")


def _launch(folder: Folder, responder: list[str] | None, on_progress: Callable[[str], None]) -> None:
    """Start the daemon and listen to it until the lab is up, or it has said why not and has left."""
    for made in (folder.records, folder.logs):
        made.mkdir(mode=0o700, exist_ok=True)
    ours, theirs = socket.socketpair()
    with ours, contextlib.ExitStack() as undo:
        undo.callback(sweep, folder)
        undo.callback(_wait, lambda: not daemon_runs(folder), END_TIMEOUT_S)
        undo.callback(ours.close)  # tells a daemon that still boots to end everything
        with theirs, folder.log(control.DAEMON).open("wb") as log:
            words = [sys.executable, "-m", "lab.daemon", "--state", str(folder.root), "--channel", str(theirs.fileno())]
            starter = subprocess.run(  # noqa: PLW1510 - its exit code is looked at
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs.fileno()], env=_environment()
            )
        if starter.returncode == 0:
            ours.sendall(json.dumps({"responder": responder}).encode() + b"\n")
            _listen(ours, folder, on_progress)
            undo.pop_all()
            return
    raise LabError(f"the lab's daemon could not be started: {_last_words(folder)}")


def _listen(channel: socket.socket, folder: Folder, on_progress: Callable[[str], None]) -> None:
    channel.settimeout(BOOT_SILENCE_S)
    try:
        with channel.makefile("r") as lines:
            for line in lines:
                match json.loads(line):
                    case {"progress": str(text)}:
                        on_progress(text)
                    case {"error": str(sentence)}:
                        raise LabError(sentence)
                    case {"up": _}:
                        return
    except TimeoutError:
        raise LabError(f"the lab's daemon was silent for {BOOT_SILENCE_S:.0f} s while it booted") from None
    raise LabError(f"the lab's daemon ended while it booted: {_last_words(folder)}")


def _environment() -> dict[str, str]:
    """Ours, with this very package importable from any folder, and logs written line by line."""
    import os

    import lab

    root = str(Path(lab.__file__).parent.parent)
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _last_words(folder: Folder) -> str:
    from lab.daemon.supervisor import last_words

    return last_words(folder, control.DAEMON) or f"its log {folder.log(control.DAEMON)} is empty"


@contextlib.contextmanager
def _one_sentence(folder: Folder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LabError(f"the lab in {folder.root} cannot be started: {error}") from None


def _wait(over: Callable[[], Any], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not over() and time.monotonic() < deadline:
        time.sleep(0.02)
