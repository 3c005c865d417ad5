"""Runs exchanges of the lean connection in a process of its own (gevent is never imported into pytest).

Each line on standard input is one run on one connection: ``{"url", "connect_timeout_s", "answer_timeout_s", "ca_file",
"requests": [{"method", "path", "body", "pause_s", "kill_after_s"}]}``. The answer is one line:
``{"outcomes": [{"status", "length", "body", "reusable"} or {"error", "sentence", "took_s"}], "connected", "resent"}``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import gevent
from gevent.fileobject import FileObjectThread

sys.path.insert(0, str(Path(__file__).parents[2] / "loadtests"))
from lean.connection import Connection
from lean.endpoint import Endpoint
from lean.errors import RequestRefused, WireError


def exchange(connection, prepared):
    """One outcome."""
    began = time.monotonic()
    try:
        answer = connection.exchange(prepared, keep_body=True)
    except WireError as error:
        return {
            "error": type(error).__name__,
            "sentence": str(error),
            "took_s": time.monotonic() - began,
        }
    return {
        "status": answer.status,
        "length": answer.length,
        "body": answer.body.decode("latin-1"),
        "reusable": answer.reusable,
    }


def run(order):
    """All requests of one line, one after the other, on one connection."""
    requests = order.pop("requests")
    try:
        endpoint = Endpoint.at(order.pop("url"), **order)
    except RequestRefused as error:
        return {"refused": str(error)}
    connection = Connection(endpoint)
    outcomes = []
    for request in requests:
        gevent.sleep(request.get("pause_s", 0))
        body = request.get("body")
        prepared = endpoint.prepare(
            request.get("method", "GET"), request.get("path", "/"), body=None if body is None else body.encode()
        )
        if "kill_after_s" in request:
            greenlet = gevent.spawn(connection.exchange, prepared)
            gevent.sleep(request["kill_after_s"])
            greenlet.kill(timeout=5)
            outcomes.append({"killed": isinstance(greenlet.value, gevent.GreenletExit)})
        else:
            outcomes.append(exchange(connection, prepared))
    connection.close()
    return {"outcomes": outcomes, "connected": endpoint.counters.connected, "resent": endpoint.counters.resent}


def main():
    """Until standard input ends."""
    orders = FileObjectThread(sys.stdin.buffer, "rb")
    while line := orders.readline():
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
