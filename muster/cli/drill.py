"""``muster drill``: break it on purpose; prove detection, page and rollback. The embedded world is booted for it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from muster import ending
from muster.errors import EXIT_UNKNOWN, MusterError, UsageError

if TYPE_CHECKING:
    import pytest

    from muster.drill.collect import Experiment
    from muster.drill.progress import Progress
    from muster.drill.session import DrillRun
    from muster.system import Environment, System
    from muster.verdict import Finding

FOLDER = "experiments"
QUARTERLY = "quarterly"
SETTLES_S = 15.0  # a world that was just booted: rates need two scrapes of every pod
_CHECKOUT = Path(__file__).resolve().parents[2]
# An installed plugin that is not needed costs start-up time; Locust's would be fatal.
_PLUGINS = ("--disable-plugin-autoload", "-p", "allure_pytest", "-p", "no:cacheprovider", "-p", "no:terminal")


@click.command()
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENTS]...")
@click.option("--system", "system_name", envvar="MUSTER_SYSTEM", default="x0tta6bl4", show_default=True)
@click.option("--env", "env_name", envvar="MUSTER_ENV", default="lab", show_default=True)
@click.option("--rate", metavar="R", help="Users' requests in every experiment: 6000/s, objective, 50% of target.")
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), help="Write the outputs here.")
@click.option("--dry-run", is_flag=True, help="Tell exactly what would be done, and do nothing.")
@click.option("--production", metavar="NAME", help="Yes, production: its environment's name, typed back.")
def command(
    experiments: tuple[str, ...],
    *,
    system_name: str,
    env_name: str,
    rate: str | None,
    run_dir: Path | None,
    dry_run: bool,
    production: str | None,
) -> int:
    """Run EXPERIMENTS and show the story while it happens.

    An experiment is named by its name, a glob (pqc-*), a tag (quick, release), all, or a file; the default is the
    quarterly set.

    Exit code 0: every objective was met; 1: one was not; 6: nothing failed, but something is unknown; 129, 130 and
    143: it was interrupted, and everything was healed and stopped. A drill that a stop condition has ended has the code
    of its verdict.
    """
    with _coming_at(rate, system_name):
        if dry_run:
            return _dry_run(experiments, system_name, env_name)
        from muster.faults.guard import PRODUCTION

        with _variable(PRODUCTION, _typed_back(system_name, env_name, production)):
            return _run(experiments, system_name, env_name, run_dir)


def _run(experiments: tuple[str, ...], system_name: str, env_name: str, run_dir: Path | None) -> int:
    """The drill, and the exit code of the signal that ended it, if one did."""
    with _signals() as received:
        try:
            return _drill(experiments, system_name, env_name, run_dir)
        except KeyboardInterrupt as error:
            came = (each for each in (signal.SIGTERM, signal.SIGHUP) if each in received or each.name in str(error))
            number = next(came, signal.SIGINT)
            print(f"muster: the drill was interrupted by {number.name}; it was healed and stopped", file=sys.stderr)
            return 128 + number


def _dry_run(experiments: tuple[str, ...], system_name: str, env_name: str) -> int:
    from rich.console import Console

    from muster.drill import dry_run

    return dry_run.show(_files(experiments), system_name, env_name, Console(highlight=False))


@contextmanager
def _coming_at(rate: str | None, system_name: str) -> Iterator[None]:
    """Meanwhile the users of every experiment come at this rate."""
    from muster.chaos.context import RATE, users_rate
    from muster.system import load_system

    if rate is not None:
        users_rate(rate, load_system(system_name), said=f"--rate {rate}")
    with _variable(RATE, rate):
        yield


@contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """Meanwhile this is in the environment, for what is run here and what is started; None leaves it as it is."""
    if value is None:
        yield
        return
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def _typed_back(system_name: str, env_name: str, given: str | None) -> str | None:
    """For production, its name: as it was given, or typed at a terminal. The guard judges it, whatever the way."""
    from muster.faults.guard import PRODUCTION
    from muster.system import load_system

    if given is not None and given != env_name:
        raise UsageError(f"--production {given}: the drill is to be in environment {env_name}")
    production = bool(load_system(system_name).environments.get(env_name, {}).get("production"))
    if given is None and production and PRODUCTION not in os.environ and sys.stdin.isatty():
        given = click.prompt(f"Environment {env_name} is production. Type its name to break things there", type=str)
    return given


def _drill(experiments: tuple[str, ...], system_name: str, env_name: str, run_dir: Path | None) -> int:
    from rich.console import Console

    from muster.chaos import shared
    from muster.drill.progress import Progress
    from muster.faults import guard
    from muster.report import RUN_VARIABLE, run_folder
    from muster.system import load_system

    began = time.monotonic()
    files = _files(experiments)
    system = load_system(system_name)
    # pytest captures standard output while experiments run; the story is told through a duplicate of it
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8") as stream, ExitStack() as stack:
        progress = Progress(Console(file=stream, highlight=False))
        with progress.shown():
            env = stack.enter_context(_world(system, env_name, progress))
            guard.may_begin(env)
            # before healing is: others' faults are not ours
            stack.enter_context(shared.alone(system.name, env, say=lambda words: progress.say(f"  {words}", "yellow")))
            run = run_dir.resolve() if run_dir else run_folder("drill", system.name, env.name)
            run.mkdir(parents=True, exist_ok=True)
            os.environ[RUN_VARIABLE] = str(run)
            stack.callback(_heal, system, env, progress)
            _baseline(system.name, env.name, run, progress)
            code = _experiments(files, system.name, env.name, run, progress)
            stack.close()
        progress.say(f"\noutputs: {_shown(run)}   {time.monotonic() - began:.0f} s in all", "dim")
    return code


def _files(words: tuple[str, ...]) -> list[Path]:
    """The experiments that these words mean, in the folder of the working directory, else of the checkout."""
    from muster.drill.selection import select

    folder = next((base / FOLDER for base in (Path.cwd(), _CHECKOUT) if (base / FOLDER).is_dir()), None)
    if folder is None:
        raise UsageError(f"there is no folder {FOLDER}/ here: run this where your experiments are")
    return select(folder, words or (QUARTERLY,))


@contextmanager
def _world(system: System, env_name: str, progress: Progress) -> Iterator[Environment]:
    """The environment, running: an embedded one is brought up for the drill if it has to be, and then taken down."""
    from muster.system import load_environment

    embedded = bool(system.environments.get(env_name, {}).get("embedded"))
    if not embedded:
        yield load_environment(system, env_name)
        return
    from muster.cli import lab

    progress.phase("booting the lab")
    with lab.running(system.name, say=lambda words: progress.say(f"  {words}", "dim")):
        yield load_environment(system, env_name)


def _heal(system: System, env: Environment, progress: Progress) -> None:
    """Whatever happened, nothing of ours stays broken: what an experiment could not heal is healed here.

    Raises :class:`MusterError` when something may be left: a drill that leaves a fault behind has not passed.
    """
    from muster.chaos.patience import patience
    from muster.faults import Ledger, LedgerError, heal
    from muster.kube import Kube, load_access

    records = Ledger().records()
    left = [
        entry for entry in records if isinstance(entry, LedgerError) or (entry.open and entry.environment == env.name)
    ]
    if not left or env.kubernetes is None:
        return
    # until it is told: whoever is told "healed and stopped" must find it so
    with patience(lambda words: progress.say(f"  {words}", "yellow")):
        with Kube(load_access(env.kubernetes.kubeconfig, env.kubernetes.context)) as kube:
            results = heal(Ledger(), kube, env, system=system.name)
        for result in results:
            progress.say(f"  {'healed' if result.ok else 'NOT HEALED'}: {result.message}", "" if result.ok else "red")
        failed = [result.message for result in results if not result.ok]
        if failed:
            raise MusterError(f"not healed: {'; '.join(failed)}")


def _baseline(system: str, env: str, run: Path, progress: Progress) -> None:
    """The checks before anything is broken; what was just started may take a moment to settle.

    Raises :class:`MusterError` when they do not hold.
    """
    from muster.chaos import steady
    from muster.verdict import Verdict

    progress.phase("healthy baseline")
    deadline = time.monotonic() + SETTLES_S
    look = steady.look(system, env, folder=run / "baseline", allure=run / "allure-results")
    while look.verdict not in (Verdict.PASS, Verdict.WARN) and time.monotonic() < deadline:
        progress.say(f"  not yet: {look.message}", "dim")
        look = steady.look(system, env, folder=run / "baseline", allure=run / "allure-results")
    if look.verdict in (Verdict.PASS, Verdict.WARN):
        progress.say(f"  healthy baseline: {look.message}", "green")
        return
    error = MusterError(f"{system}/{env} is not healthy, so nothing was broken: {look.message}")
    error.exit_code = error.exit_code if look.verdict is Verdict.FAIL else EXIT_UNKNOWN
    raise error


def _experiments(files: list[Path], system: str, env: str, run: Path, progress: Progress) -> int:
    import pytest

    from muster import pytest_plugin

    class Plugin:
        """Registers the run before experiments/conftest.py would, with somebody to tell the verdicts to."""

        run: DrillRun | None = None

        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(self, config: pytest.Config) -> None:
            from muster.drill.session import begin

            self.run = begin(config, on_result=told)

    def told(item: Experiment, finding: Finding) -> None:
        result: dict[str, Any] = item.result or {"verdict": finding.verdict.value, "message": finding.message}
        progress.verdict(item.name, result)
        left = [each.name for each in item.session.items[item.session.items.index(item) + 1 :]]
        if result.get("stopped") and left:
            progress.say(f"\nnot run, because the drill was stopped: {', '.join(left)}", "bold yellow")

    arguments = [*_PLUGINS, "--rootdir", str(files[0].parent.parent), "--system", system, "--env", env]
    arguments += ["--run-dir", str(run), *map(str, files)]
    plugin = Plugin()
    code = pytest.main(arguments, [pytest_plugin, plugin])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt(plugin.run.interrupted if plugin.run else "")
    return int(code)


def _shown(run: Path) -> str:
    return str(run.relative_to(Path.cwd())) if run.is_relative_to(Path.cwd()) else str(run)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """SIGTERM and SIGHUP end the drill as Ctrl-C does; which of them it was is remembered for the exit code."""
    received: list[int] = []

    def interrupt(number: int, _frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (*ending.signals(), signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
