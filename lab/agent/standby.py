"""``python -m lab.agent.standby MODULE``: a program that has read its modules, and forks at each order one that runs.

A fork has what ``python -m MODULE`` would have: a session, control group, environment, folder and output of its own,
and its exit code. It talks with :mod:`lab.agent.warm` in JSON over standard input, a Unix socket that keeps packets
apart: ``{"ready": true}`` first; ``{"argv", "env", "folder"}`` with descriptors (output, then the group's doors) is
answered by ``{"pid"}`` or ``{"errno", "error"}``; ``{"reap": pid}``, once that has ended, by ``{"code"}``. At the end
of file it ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import sys
from typing import Any

from setproctitle import setproctitle

ORDER_BYTES = 1 << 17
_DESCRIPTORS = 16
_REFUSAL_BYTES = 4096
_RUN = b"r"


class _GoneError(Exception):
    """Nobody gives orders any more."""


def main() -> int:
    """Read the module named on the command line, then do as told; in a fork, run it and return as it does."""
    module = sys.argv[1]
    importlib.import_module(f"{module}.__main__")
    del sys.modules[f"{module}.__main__"]  # each fork runs it anew, as __main__
    gc.collect()
    gc.freeze()  # a collection in one fork must not copy the pages that all share
    orders = socket.socket(fileno=os.dup(0))
    try:
        orders.send(json.dumps({"ready": True}).encode())
        order = _serve(orders)
    except (_GoneError, ConnectionError):
        return 0
    setproctitle(" ".join(order["argv"]))  # before the environment goes: it lies where the title does
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv[1:], sys.path[0] = order["argv"][3:], order["folder"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


def _serve(orders: socket.socket) -> dict[str, Any]:
    """Carry out orders; returns only in a fork, with the order that it is to follow."""
    while True:
        content, descriptors, _, _ = socket.recv_fds(orders, ORDER_BYTES, _DESCRIPTORS)
        if not content:
            raise _GoneError
        order: dict[str, Any] = json.loads(content)
        if "reap" in order:
            code = os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])
            orders.send(json.dumps({"code": code}).encode())
        elif _fork(orders, order["folder"], descriptors):
            return order
        for descriptor in descriptors:
            os.close(descriptor)


def _fork(orders: socket.socket, folder: str, descriptors: list[int]) -> bool:
    """Whether this is the fork. It stands where it belongs and the agent knows of it, else it would not go on.

    Raises ConnectionError in the parent when nobody is there to be told: the fork ends with it.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        orders.close()
        _wait_to_run(theirs, folder, descriptors)
        return True
    theirs.close()
    with ours:
        refusal = ours.recv(_REFUSAL_BYTES)
        if refusal:
            os.waitpid(pid, 0)
        orders.send(refusal or json.dumps({"pid": pid}).encode())
        with contextlib.suppress(ConnectionError):  # it has been killed: its end is asked for like any other
            ours.send(_RUN)
    return False


def _wait_to_run(standby: socket.socket, folder: str, descriptors: list[int]) -> None:
    """Settle, or say why not; then return when told to. A standby that is lost says nothing: nobody knows this pid."""
    with standby:
        try:
            _settle(folder, descriptors)
        except OSError as error:
            standby.send(json.dumps({"errno": error.errno, "error": error.strerror}).encode())
            os._exit(127)
        standby.shutdown(socket.SHUT_WR)
        if standby.recv(1) != _RUN:
            os._exit(127)


def _settle(folder: str, descriptors: list[int]) -> None:
    output, *doors = descriptors
    os.setsid()
    for door in doors:
        os.write(door, b"0")
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for descriptor in (nothing, *descriptors):
        os.close(descriptor)
    os.chdir(folder)


if __name__ == "__main__":
    sys.exit(main())
