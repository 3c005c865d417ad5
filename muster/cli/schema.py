"""``muster schema``: what may stand in systems/*.yaml, for editors and for whoever writes such a file by program."""

from __future__ import annotations

import json
from pathlib import Path

import click

from muster.errors import MusterError, UsageError


@click.command(name="schema", epilog="Exit codes: 0 done, 1 --check found a difference, 4 usage.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the file of --out is not current.")
def command(out: Path | None, check: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of a system's file.

    Editors with a YAML language server use it when the file begins with the comment
    "# yaml-language-server: $schema=PATH".
    """
    from muster.system.schema import schema

    if check and out is None:
        raise UsageError("--check compares with a file: name it with --out")
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
    elif check:
        if not out.is_file() or out.read_text(encoding="utf-8") != text:
            raise MusterError(f"{out} is not the schema of the facts as they are now; run 'make schema' and commit it")
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise MusterError(f"{out} cannot be written: {error.strerror}") from None
        click.echo(str(out))
