"""Start Locust against an environment, read its per-second figures, stop it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from muster.errors import MusterError, UsageError
from muster.faults.guard import typed_back
from muster.system import Environment
from muster.wait import TimedOut, wait_until

_CHECKOUT = Path(__file__).resolve().parents[2]
ENOUGH = 0.5  # of the rate that was asked for
START_S = 20.0  # gevent, Locust and fifty connections, on a machine that is busy with a whole lab
STOP_S = 3.0


class LoadError(MusterError):
    """The load generator could not be started, or died."""


@dataclass(frozen=True, kw_only=True)
class Second:
    """One second of users. ``at`` is its start in seconds since the epoch; ``p95_ms`` is None without requests."""

    at: float
    requests: int
    errors: int
    p95_ms: float | None


class Load:
    """A running Locust. Made by :meth:`start`; :meth:`stop` may be called any number of times."""

    def __init__(self, process: subprocess.Popen[bytes], figures: Path, log: Path, *, rate: float) -> None:
        self._process, self._figures, self._log = process, figures, log
        self._read = 0  # bytes of the figures already given out
        self._stopped = False
        self.rate = rate

    @classmethod
    def start(cls, env: Environment, *, rate: float, users: int, folder: Path, limit_s: float = 600.0) -> Load:
        """Send ``rate`` requests a second from ``users`` users to the environment's ``http``, for ``limit_s`` at most.

        Figures and log go to ``folder``. Returns when Locust runs; :meth:`wait_flowing` waits for its first answers.

        Raises:
            UsageError: The environment declares no ``http`` or does not allow load, or there is no locustfile.
            LoadError: Locust cannot be started.
        """
        host = allowed_host(env)
        locustfile = find_locustfile()
        folder.mkdir(parents=True, exist_ok=True)
        figures, log = folder / "load-figures.jsonl", folder / "load.log"
        figures.write_bytes(b"")
        argv = [
            *(sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "WARNING"),
            *("--locustfile", str(locustfile), "--host", host),
            *("--users", str(users), "--spawn-rate", str(users), "--run-time", f"{limit_s:.0f}s"),
            *("--stop-timeout", "0", "--exit-code-on-error", "0"),
            *("--rate", f"{rate:g}", "--figures", str(figures)),
        ]
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a terminal's Ctrl-C is ours to handle: heal first, then stop the users
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
        except OSError as error:
            raise LoadError(f"Locust cannot be started: {error}") from error
        return cls(process, figures, log, rate=rate)

    @property
    def pid(self) -> int:
        """Locust's process id."""
        return self._process.pid

    def failure(self) -> str:
        """Why the load is not running although nobody stopped it; empty while all is well."""
        code = self._process.poll()
        if self._stopped or code is None:
            return ""
        return f"Locust ended by itself with exit code {code}{_last_words(self._log)}"

    def wait_flowing(self, timeout_s: float = START_S) -> None:
        """Wait for a second with enough answered requests. Raises :class:`LoadError`.

        A drill needs users, not a record: on a busy machine half of the rate will do, and the figures tell what it was.
        """
        seen = 0

        def _look() -> int:
            nonlocal seen
            if failure := self.failure():
                raise LoadError(failure)
            for second in self._all():
                seen = second.requests
            return seen

        try:
            wait_until(
                _look,
                lambda requests: requests >= ENOUGH * self.rate,
                what=f"Locust did not reach half of {self.rate:g} requests a second",
                timeout_s=timeout_s,
                show=lambda requests: f"{requests} in the last second{_last_words(self._log)}",
            )
        except TimedOut as error:
            raise LoadError(str(error)) from error

    def new_seconds(self) -> Iterator[Second]:
        """The seconds that were written since the last call."""
        with self._figures.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                yield _second(line)

    def _all(self) -> Iterator[Second]:
        for line in self._figures.read_bytes().split(b"\n")[:-1]:
            yield _second(line)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when the process is gone."""
        self._stopped = self._stopped or self._process.poll() is None
        for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue


def allowed_host(env: Environment) -> str:
    """The environment's way in, if load may be sent there.

    Raises :class:`~muster.errors.UsageError`, and NotTypedBackError for production whose name was not typed back.
    """
    parts = urlsplit(env.http)
    if not env.http:
        raise UsageError(f"environment {env.name} declares no http, so there is nowhere to send load to")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"environment {env.name}: http: {env.http!r} is not an http address")
    if not env.guard.allow_load:
        raise UsageError(f"environment {env.name} does not allow load (guard.allow_load), so none was sent")
    typed_back(env)
    return f"{parts.scheme}://{parts.netloc}"


def find_locustfile() -> Path:
    """``loadtests/locustfile.py`` of the working folder, else of Muster's own checkout."""
    for base in (Path.cwd(), _CHECKOUT):
        path = base / "loadtests" / "locustfile.py"
        if path.is_file():
            return path
    raise UsageError(f"there is no loadtests/locustfile.py in {Path.cwd()}")


def _second(line: bytes) -> Second:
    raw = json.loads(line)
    return Second(at=raw["at"], requests=raw["requests"], errors=raw["errors"], p95_ms=raw["p95_ms"])


def _last_words(log: Path) -> str:
    """The last line of Locust's log, for an error; empty when it said nothing."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()[-20:] if line.strip()]
    return f": {lines[-1][:200]}" if lines else ""
