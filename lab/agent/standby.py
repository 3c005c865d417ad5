"""``python -m lab.agent.standby MODULE``: a program that has read its modules, and forks at each order one that runs.

A fork has what ``python -m MODULE`` would have: a session, control group, environment, folder and output of its own,
and its exit code. It talks with :mod:`lab.agent.warm` in JSON over standard input, a Unix socket that keeps packets
apart: ``{"ready": true}`` first; ``{"argv", "env", "folder"}`` with descriptors (output, then the group's doors) is
answered by ``{"pid"}`` or ``{"errno", "error"}``; ``{"reap": pid}``, once that has ended, by ``{"code"}``. At the end
of file it ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from typing import Any

from setproctitle import setproctitle

ORDER_BYTES = 1 << 17
_DESCRIPTORS = 16


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
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])}
        else:
            pid, answer = _fork(order, descriptors)
            if pid == 0:
                orders.close()
                return order
        for descriptor in descriptors:
            os.close(descriptor)
        try:
            orders.send(json.dumps(answer).encode())
        except ConnectionError:
            if "pid" in answer:  # it would run, and nobody would know
                os.kill(int(answer["pid"]), signal.SIGKILL)
            raise


def _fork(order: dict[str, Any], descriptors: list[int]) -> tuple[int, dict[str, Any]]:
    """``(0, {})`` in the fork; in the parent its pid and what to answer, once the fork stands where it belongs."""
    listen, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(listen)
        try:
            _settle(order["folder"], descriptors)
        except OSError as error:
            os.write(tell, json.dumps({"errno": error.errno, "error": error.strerror}).encode())
            os._exit(127)
        os.close(tell)
        return 0, {}
    os.close(tell)
    with os.fdopen(listen, "rb") as said:
        refusal = said.read()
    if refusal:
        os.waitpid(pid, 0)
        return pid, dict(json.loads(refusal))
    return pid, {"pid": pid}


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
