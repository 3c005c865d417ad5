"""Warm starts: an image marked ``warm`` has a program in waiting that forks into its containers.

To read its modules costs a Python program a quarter of a second of CPU, and a rollout at the promised load starts six
of them on the cores that serve the users; a fork costs a tenth of that. A container that cannot be told apart from one
started cold is the condition: whatever could show the difference (another command, PYTHON* variables, program files
that have changed, a memory limit that the modules alone would break) is started cold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from lab.agent.images import Image
from lab.agent.process import UNKNOWN_EXIT, Process, spawn, watched
from lab.agent.standby import ORDER_BYTES
from lab.cgroups import Group

_READY_S = 10.0
_ANSWER_S = 5.0
_REST_BYTES = 8192  # of an order, for what is not command or environment
_log = logging.getLogger(__name__)


class Warmed:
    """What :class:`subprocess.Popen` is to a program started cold."""

    def __init__(self, pid: int, standby: Standby) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._standby = standby

    def wait(self) -> int:
        """The exit code of a program that has ended, -N after signal N; 137 when its standby is gone with it."""
        if self.returncode is None:
            self.returncode = self._standby.reap(self.pid)
        return self.returncode


class Standby:
    """One program in waiting; ``ready`` is done when it has read its modules, with whether it could."""

    def __init__(self, image: Image, state: Path) -> None:
        self.made_of = image.files_digest()
        self.python = _python_variables(image.env)
        self._children: set[int] = set()
        self._retired = False
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.setblocking(False)
        self._orders.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * ORDER_BYTES)
        python, _, module = image.command[:3]
        with theirs:
            self._popen = subprocess.Popen(
                [python, "-m", "lab.agent.standby", module],
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **image.env},
                cwd=state,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,  # what it has to say, it says where the agent does
                start_new_session=True,
            )
        self.lost = False
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._starting = asyncio.ensure_future(self._get_ready())

    async def _get_ready(self) -> None:
        try:
            async with asyncio.timeout(_READY_S):
                heard = await asyncio.get_running_loop().sock_recv(self._orders, ORDER_BYTES)
        except (TimeoutError, OSError):
            heard = b""
        if not heard:
            _log.warning("the standby did not get ready: containers start cold")
        self._orders.settimeout(_ANSWER_S)
        self.ready.set_result(bool(heard))

    def holds(self, memory_bytes: float | None) -> bool:
        """Whether a limit leaves room for what the modules take: a fork is not charged for these, a program is."""
        try:
            return memory_bytes is None or psutil.Process(self._popen.pid).memory_info().rss < memory_bytes
        except psutil.NoSuchProcess:
            return False

    def start(
        self, argv: Sequence[str], env: Mapping[str, str], folder: Path, log: int, group: Group | None
    ) -> Process:
        """As :func:`lab.agent.process.spawn`. Raises ConnectionError when it is no longer there, OSError otherwise."""
        order = {"argv": list(argv), "env": dict(env), "folder": str(folder)}
        with contextlib.ExitStack() as held:
            doors = held.enter_context(group.doors()) if group else []
            answer = self._ask(order, [log, *doors])
        if "pid" not in answer:
            raise OSError(answer["errno"], answer["error"])
        self._children.add(answer["pid"])
        return watched(Warmed(answer["pid"], self), group=group)

    def reap(self, pid: int) -> int:
        """The exit code of a child that has ended."""
        self._children.discard(pid)
        try:
            return int(self._ask({"reap": pid})["code"])
        except ConnectionError as error:
            _log.warning("nobody knows how process %d has ended, its standby is lost: %s", pid, error)
            return UNKNOWN_EXIT
        finally:
            if self._retired:
                self.retire()

    def _ask(self, order: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        try:
            socket.send_fds(self._orders, [_encoded(order)], descriptors)
            answer = self._orders.recv(ORDER_BYTES)
        except OSError as error:
            self.lost = True
            self._orders.close()  # a late answer must not be taken for another's
            raise ConnectionError(str(error)) from None
        if not answer:
            self.lost = True
            raise ConnectionError("it has ended")
        return dict(json.loads(answer))

    def retire(self) -> None:
        """Start nothing any more, and end with the last child: until then it knows their exit codes."""
        self._retired = True
        if not self._children:
            self.close()

    def close(self) -> None:
        """End it; what it has started runs on."""
        self._starting.cancel()
        if not self.ready.done():
            self.ready.set_result(False)
        self._orders.close()
        self._popen.kill()
        self._popen.wait()


class WarmStarts:
    """The standbys of one agent, one for each module."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._standbys: dict[str, Standby] = {}
        self._retired: list[Standby] = []

    def prepare(self, images: Iterable[Image]) -> None:
        """Have one read its modules for each warm image, before anybody asks."""
        for image in images:
            with contextlib.suppress(OSError):  # whoever asks for it is told
                self._of(image)

    async def way(
        self, image: Image, argv: Sequence[str], env: Mapping[str, str], memory_bytes: float | None
    ) -> Callable[[Sequence[str], Mapping[str, str], Path, int, Group | None], Process]:
        """How to start this container: :func:`lab.agent.process.spawn`, or what is quicker and takes the same."""
        try:
            standby = await self._find(image, argv, env, memory_bytes)
        except OSError as error:
            _log.warning("no standby for %s: %s", image.reference, error)
            standby = None
        if standby is None:
            return spawn

        def fork(
            argv: Sequence[str], env: Mapping[str, str], folder: Path, log: int, group: Group | None = None
        ) -> Process:
            try:
                return standby.start(argv, env, folder, log, group)
            except ConnectionError as error:
                _log.warning("the standby of %s is lost: %s", image.reference, error)
            return spawn(argv, env, folder, log, group)

        return fork

    async def _find(
        self, image: Image, argv: Sequence[str], env: Mapping[str, str], memory_bytes: float | None
    ) -> Standby | None:
        fits = len(_encoded({"argv": list(argv), "env": dict(env)})) < ORDER_BYTES - _REST_BYTES
        if not (image.warm and tuple(argv[:3]) == image.command[:3] and fits):
            return None
        standby = self._of(image)
        if not await asyncio.shield(standby.ready):  # shared: a pod that is deleted meanwhile must not end it
            return None
        same = _python_variables(env) == standby.python
        return standby if same and standby.holds(memory_bytes) else None

    def _of(self, image: Image) -> Standby:
        module = image.command[2]
        known = self._standbys.get(module)
        if known is None or known.lost or known.made_of != image.files_digest():
            if known is not None:
                self._retired.append(known)
                known.retire()
            known = self._standbys[module] = Standby(image, self._state)
        return known

    def close(self) -> None:
        """End all; what they have started runs on."""
        for standby in (*self._standbys.values(), *self._retired):
            standby.close()
        self._standbys, self._retired = {}, []


def _encoded(order: Mapping[str, Any]) -> bytes:
    return json.dumps(order, ensure_ascii=False).encode()


def _python_variables(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}
