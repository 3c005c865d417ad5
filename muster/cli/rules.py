"""``muster rules``: facts as Prometheus rules and Alertmanager routes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from muster.errors import MusterError, UsageError

if TYPE_CHECKING:
    from muster.system import Environment, System

_SHOWN = 40  # lines of one file's differences: enough to see what it is about


@click.command(name="rules", epilog="Exit codes: 0 done, 1 --check found a difference, 4 the facts cannot be used.")
@click.argument("systems", metavar="[SYSTEM]...", nargs=-1)
@click.option("--env", "environment", required=True, metavar="ENV", help="The environment to render for.")
@click.option(
    "--format",
    "kinds",
    type=click.Choice(["prometheus", "prometheusrule", "alertmanager", "cases", "grafana"]),
    multiple=True,
    help="What to render; may be repeated. Default: prometheus on the terminal, all but grafana with --out.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write files below this folder.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the files in --out are not as rendered now.")
def command(systems: tuple[str, ...], environment: str, kinds: tuple[str, ...], out: Path | None, check: bool) -> None:
    """Render Prometheus rules, Alertmanager routes and Grafana dashboards from systems/SYSTEM.yaml.

    Without SYSTEM: of all systems that have this environment. The routes of several stand in one alertmanager.yml, as
    Alertmanager takes one file; everything else is a file for each system.

    Alert conditions, durations, receivers, promtool cases and panels all follow from the facts. An environment's
    time scale divides durations and nothing else.
    """
    from muster.rules import doubts, render, taken, write

    if check and out is None:
        raise UsageError("--check compares with files: name their folder with --out")
    subjects = _subjects(systems, environment)
    (system, chosen), *others = subjects
    for said in (doubt for subject in subjects for doubt in doubts(*subject)):
        click.echo(f"muster: warning: {said}", err=True)
    if not systems and kinds == ("grafana",) and not any(one.dashboards for one, _ in subjects):
        return  # of all systems there are no dashboards: as it should be, where nobody named one
    if out is None:
        # A JSON document is a YAML one too, so several formats are one stream.
        texts = [render(system, chosen, kind, others) for kind in kinds or ("prometheus",)]
        click.echo("---\n".join(texts), nl=False)
        return
    if why := taken(out, subjects, kinds):
        raise UsageError(why)
    try:
        if check:
            _compare(subjects, out, kinds)
        else:
            click.echo("\n".join(str(file) for file in write(system, chosen, out, kinds, others)))
    except OSError as error:
        raise MusterError(f"{out} cannot be {'read' if check else 'written'}: {error}") from None


def _subjects(names: tuple[str, ...], environment: str) -> list[tuple[System, Environment]]:
    """The systems named, each once, or all that have this environment; and it, of each."""
    from muster.system import load_environment, load_system, system_names
    from muster.system.place import offer

    systems = [load_system(name) for name in dict.fromkeys(names or system_names())]
    having = [system for system in systems if names or environment in system.environments]
    if not having:
        known = offer(environment, {name for system in systems for name in system.environments})
        raise UsageError(f"no system has an environment {environment!r}: {known}")
    return [(system, load_environment(system, environment)) for system in having]


def _compare(subjects: list[tuple[System, Environment]], out: Path, kinds: tuple[str, ...]) -> None:
    """Print what differs; raises MusterError in one sentence when anything does."""
    from muster.rules import differing

    (system, environment), *others = subjects
    different = differing(system, environment, out, kinds, others)
    for diff in filter(None, different.values()):
        lines = diff.splitlines()
        more = [f"... and {len(lines) - _SHOWN} more lines"] if len(lines) > _SHOWN else []
        click.echo("\n".join([*lines[:_SHOWN], *more]))
    if different:
        names = ", ".join(f"{file}{'' if diff else ' (missing)'}" for file, diff in different.items())
        facts = " and ".join(f"systems/{one.name}.yaml" for one, _ in subjects)
        raise MusterError(
            f"not as {facts} would be rendered now: {names}; render again without --check ('make rules' for deploy/) "
            f"and commit the result"
        )
