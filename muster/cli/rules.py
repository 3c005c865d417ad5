"""``muster rules``: facts as Prometheus rules and Alertmanager routes."""

from __future__ import annotations

from pathlib import Path

import click

from muster.errors import MusterError, UsageError


@click.command(name="rules", epilog="Exit codes: 0 done, 1 --check found a difference, 4 the facts cannot be used.")
@click.argument("system")
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
def command(system: str, environment: str, kinds: tuple[str, ...], out: Path | None, check: bool) -> None:
    """Render Prometheus rules, Alertmanager routes and Grafana dashboards from systems/SYSTEM.yaml.

    Alert conditions, durations, receivers, promtool cases and panels all follow from the facts. An environment's
    time scale divides durations and nothing else.
    """
    from muster.rules import differing, render, write
    from muster.system import load_environment, load_system

    if check and out is None:
        raise UsageError("--check compares with files: name their folder with --out")
    facts = load_system(system)
    chosen = load_environment(facts, environment)
    if out is None:
        # A JSON document is a YAML one too, so several formats are one stream.
        click.echo("---\n".join(render(facts, chosen, kind) for kind in kinds or ("prometheus",)), nl=False)
    elif check:
        if different := differing(facts, chosen, out, kinds):
            names = ", ".join(str(file) for file in different)
            raise MusterError(
                f"not as systems/{system}.yaml renders now: {names}; run 'make rules' and commit the result"
            )
    else:
        try:
            written = write(facts, chosen, out, kinds)
        except OSError as error:
            raise MusterError(f"{out} cannot be written: {error}") from None
        click.echo("\n".join(str(file) for file in written))
