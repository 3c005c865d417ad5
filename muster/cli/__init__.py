"""The ``muster`` command: a thin group; each subcommand lives in a module of its own and is loaded when used."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from muster.errors import MusterError

COMMANDS = {
    "coverage": "Hold the runbooks' alerts and steps against what proves them.",
    "drill": "Break it on purpose; prove detection, page and rollback.",
    "faults": "List the faults that the ledger still holds.",
    "heal": "Undo every fault that is left.",
    "lab": "Run the local world: up, down, status, kubeconfig, ...",
    "load": "Send the promised load in an open loop; judge it.",
    "report": "Build the HTML report of the runs so far.",
    "respond": "Serve Alertmanager's webhook; roll back what deserves it.",
    "rules": "Render Prometheus rules and Alertmanager routes.",
    "schema": "Print the JSON Schema of systems/*.yaml, for editors.",
    "smoke": "Judge the runbooks' health claims, once, now.",
}


class LazyGroup(click.Group):
    """Imports a subcommand only when it is used, so that ``--help`` costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every subcommand, by name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, imported now; None when there is none (click then says so)."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"muster.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in ``--help``, from the table above: no subcommand is imported."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="passmuster", prog_name="muster")
def cli() -> None:
    """Prove that production runbooks work."""


def main() -> None:
    """Entry point: a :class:`MusterError` ends in its one sentence and its exit code."""
    try:
        code = cli.main(prog_name="muster", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(4 if isinstance(error, click.UsageError) else 1)
    except MusterError as error:
        print(f"muster: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("muster: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:  # a full disk, a folder that may not be written
        where = f" ({error.filename})" if error.filename else ""
        print(f"muster: {error.strerror or type(error).__name__}{where}", file=sys.stderr)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
