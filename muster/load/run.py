"""Start Locust against an environment, read its per-second figures, stop it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from muster.errors import MusterError, UsageError
from muster.judge.seconds import LoadSecond
from muster.load.allowed import allowed_host
from muster.load.history import Tail
from muster.load.plan import FILE as PLAN
from muster.load.plan import Plan
from muster.load.ports import free_port
from muster.system import Environment
from muster.wait import TimedOut, wait_until

_CHECKOUT = Path(__file__).resolve().parents[2]
ENOUGH = 0.5  # of the rate that was asked for
START_S = 20.0  # gevent, Locust and fifty connections, on a machine that is busy with a whole lab
JOIN_S = 300.0  # for workers on other machines: a node may have to be added for them
STOP_S = 3.0
FIGURES = "load-figures.jsonl"
DRILL_GIVE_UP_S = 1.0
LOOPBACK = "127.0.0.1"
PARENT = "MUSTER_LOAD_PARENT"  # loadtests/crew.py: when this process is gone, the load ends


class LoadError(MusterError):
    """The load generator could not be started, or died."""


class Load:
    """A running Locust. Made by :meth:`start`; :meth:`stop` may be called any number of times."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        figures: Path,
        log: Path,
        *,
        rate: float,
        workers: Sequence[subprocess.Popen[bytes]] = (),
    ) -> None:
        self._process, self._figures, self._log = process, figures, log
        self._workers = list(workers)
        self._tail = Tail(figures)
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
        folder.mkdir(parents=True, exist_ok=True)
        # No more users than were ordered, and no request that waited over a second for one: on a machine that cannot
        # serve the rate, a drill wants users who ask again, not a queue of old requests.
        plan = {"phases": [[limit_s, rate, rate]], "most_users": users, "give_up_after_s": DRILL_GIVE_UP_S}
        (folder / PLAN).write_text(json.dumps(plan) + "\n", encoding="utf-8")
        more = ["--users", str(users), "--spawn-rate", str(users), "--plan", str(folder / PLAN)]
        return cls._begin(env, more, folder, rate=rate, limit_s=limit_s)

    @classmethod
    def follow(cls, env: Environment, plan: Plan, *, folder: Path, workers: int = 1, listen: str = "") -> Load:
        """Send what the plan says, from so many processes of this machine; it ends by itself when the plan does.

        With ``listen`` (``host:port``) the workers are Locust's own on other machines, which are waited for there.

        Raises as :meth:`start` does, and UsageError when it is more than the environment's guard allows.
        """
        folder.mkdir(parents=True, exist_ok=True)
        users = ["--users", str(plan.users), "--spawn-rate", str(plan.users)]
        more = [*users, "--plan", str(plan.write(folder))]
        return cls._begin(env, more, folder, rate=plan.peak, limit_s=plan.duration_s, workers=workers, listen=listen)

    @classmethod
    def _begin(
        cls,
        env: Environment,
        more: Sequence[str],
        folder: Path,
        *,
        rate: float,
        limit_s: float,
        workers: int = 1,
        listen: str = "",
    ) -> Load:
        host = allowed_host(env, rate=rate, time_s=limit_s)
        folder.mkdir(parents=True, exist_ok=True)
        figures, log = folder / FIGURES, folder / "load.log"
        figures.write_bytes(b"")
        locust = [sys.executable, "-m", "locust", "--locustfile", str(find_locustfile()), "--loglevel", "WARNING"]
        alone = [*locust, "--headless", "--only-summary", "--host", host, "--stop-timeout", "0"]
        alone += ["--exit-code-on-error", "0", "--figures", str(figures), *more]
        if workers <= 1 and not listen:
            return cls(_spawn(alone, log), figures, log, rate=rate)
        bind, _, port = (listen or f"{LOOPBACK}:{free_port()}").rpartition(":")
        alone += ["--master", "--master-bind-host", bind, "--master-bind-port", port]
        patience_s = JOIN_S if listen else START_S
        alone += ["--expect-workers", str(workers), "--expect-workers-max-wait", f"{patience_s:.0f}"]
        if listen:
            return cls(_spawn(alone, log), figures, log, rate=rate)
        crew = [*locust, "--worker", "--master-host", LOOPBACK, "--master-port", port]
        master = _spawn(alone, log)
        others = [_spawn(crew, folder / f"load-worker-{number}.log") for number in range(1, workers + 1)]
        return cls(master, figures, log, rate=rate, workers=others)

    @property
    def pid(self) -> int:
        """Locust's process id."""
        return self._process.pid

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of its workers; empty when it is one process."""
        return [worker.pid for worker in self._workers]

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line of its log, for an error; empty when it said nothing."""
        return _last_words(self._log)

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
        seen, flowing = 0, Tail(self._figures)  # a tail of its own: what it sees is not yet given out

        def _look() -> int:
            nonlocal seen
            if failure := self.failure():
                raise LoadError(failure)
            for second in flowing.new():
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

    def new_seconds(self) -> Iterator[LoadSecond]:
        """The seconds that were written since the last call."""
        return self._tail.new()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when the process is gone."""
        self._stopped = self._stopped or self._process.poll() is None
        for process in (self._process, *self._workers):  # the master first: it takes the workers' last words
            _end(process)


def _spawn(argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """One Locust. Raises :class:`LoadError`."""
    try:
        with log.open("wb") as output:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is ours to handle: heal first, then stop the users
                env={**os.environ, "PYTHONUNBUFFERED": "1", PARENT: str(os.getpid())},
            )
    except OSError as error:
        raise LoadError(f"Locust cannot be started: {error}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue


def find_locustfile() -> Path:
    """``loadtests/locustfile.py`` of the working folder, else of Muster's own checkout."""
    for base in (Path.cwd(), _CHECKOUT):
        path = base / "loadtests" / "locustfile.py"
        if path.is_file():
            return path
    raise UsageError(f"there is no loadtests/locustfile.py in {Path.cwd()}")


def _last_words(log: Path) -> str:
    """The last line of Locust's log, for an error; empty when it said nothing."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()[-20:] if line.strip()]
    return f": {lines[-1][:200]}" if lines else ""
