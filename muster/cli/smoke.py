"""``muster smoke``: the checks of ``checks/``, once, now; the embedded world is booted when it does not run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from muster.errors import UsageError

FOLDER = "checks"
CHECKOUT = Path(__file__).resolve().parents[2]
INTERRUPTED = 130
COLLECT_AFTER = 50_000  # new objects: a run lasts a second or two and drops little, and looking for it costs 4% of that
# Only what a run of checks needs: every other installed plugin costs start-up time and says nothing here.
PLUGINS = ("--disable-plugin-autoload", "-p", "allure_pytest", "-p", "no:cacheprovider")


@click.command()
@click.option("--system", metavar="NAME", help="The system of systems/NAME.yaml.  [default: x0tta6bl4]")
@click.option("--env", "environment", metavar="NAME", help="Which of its environments.  [default: lab]")
@click.option("--snapshot", metavar="FILE", help="Judge this snapshot.json again; nothing is read.")
@click.option("--strict", is_flag=True, help="What only warns fails.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the table.")
@click.option("-k", "expression", metavar="EXPRESSION", help="Only the checks whose names match, as pytest's -k.")
@click.option("--run-dir", metavar="DIR", help="Write the outputs here instead of a new folder in reports/.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    *,
    system: str | None,
    environment: str | None,
    snapshot: str | None,
    strict: bool,
    as_json: bool,
    expression: str | None,
    run_dir: str | None,
    pytest_arguments: tuple[str, ...],
) -> int:
    """Judge the runbooks' health claims, once, now.

    Exit code 0: all hold; 1: something does not; 6: nothing fails, but something cannot be known; 4: cannot be used.
    What follows -- goes to pytest.
    """
    given = {"--system": system, "--env": environment, "--snapshot": snapshot, "-k": expression, "--run-dir": run_dir}
    arguments = [part for option, value in given.items() if value is not None for part in (option, value)]
    arguments += ["--strict"] if strict else []
    arguments += ["--findings", "json"] if as_json else []
    with _world(system, environment, snapshot):
        return _run([*arguments, *pytest_arguments])


def _run(arguments: list[str]) -> int:
    import pytest

    from muster import pytest_plugin

    folder, usual = _checks(), gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER)
    try:
        code = pytest.main([*PLUGINS, "--rootdir", str(folder.parent), str(folder), *arguments], [pytest_plugin])
    finally:
        gc.set_threshold(*usual)
    return INTERRUPTED if code == pytest.ExitCode.INTERRUPTED else int(code)


def _checks() -> Path:
    """The folder of checks: that of the working folder, else of Muster's own checkout."""
    for base in (Path.cwd(), CHECKOUT):
        if (base / FOLDER).is_dir():
            return base / FOLDER
    raise UsageError(f"there is no folder {FOLDER}/ here: run this where your checks are")


@contextmanager
def _world(system: str | None, environment: str | None, snapshot: str | None) -> Iterator[None]:
    """The environment, running: an embedded one is brought up for the run if it has to be, and then taken down."""
    from muster.pytest_plugin.subject import DEFAULT_ENVIRONMENT, DEFAULT_SYSTEM
    from muster.system import load_environment, load_system

    if snapshot is not None:
        yield
        return
    facts = load_system(system or DEFAULT_SYSTEM)
    name = environment or DEFAULT_ENVIRONMENT
    if not facts.environments.get(name, {}).get("embedded"):
        load_environment(facts, name)  # a mistake is said here, in one sentence
        yield
        return
    from muster.cli import lab

    with lab.terminable(), lab.running(facts.name, say=_say):
        yield


def _say(text: str) -> None:
    click.echo(f"lab: {text}", err=True)
