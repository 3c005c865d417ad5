"""A process with the lean connection, to be told what to send; see ``lean_driver.py``."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def driver():
    """``drive(url, *requests, **endpoint)`` -> outcomes, connected, resent; with the environment as it is now."""
    argv = [sys.executable, str(Path(__file__).with_name("lean_driver.py"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def order(url, *requests, **endpoint):
            patience = {"connect_timeout_s": 20.0, "answer_timeout_s": 20.0}  # who is about times says so
            order = {"url": url, "requests": list(requests) or [{}], **patience, **endpoint}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield order
        process.stdin.close()
        assert process.wait(10) == 0
