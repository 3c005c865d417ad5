"""``muster report``: the HTML report of one run, with the history of those before it."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from muster.report import html


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: a page of the report is a hundred requests."""


@click.command()
@click.option("--run", metavar="NAME", help="The run folder to report (default: the newest).")
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
@click.option("--serve", is_flag=True, help="Serve the report on loopback until Ctrl-C.")
@click.option("--port", type=int, default=0, help="Port to serve on (default: a free one).")
def command(run: str | None, reports: Path, serve: bool, port: int) -> None:
    """Build the HTML report of one run, with the history of the runs before it."""
    chosen = html.choose(reports, run)
    index = html.build(reports, chosen)
    click.echo(f"report of {chosen.name}: {index}")
    if serve:
        _serve(index.parent, port)


def _serve(folder: Path, port: int) -> None:
    """Allure's page loads its data by HTTP, so it cannot be opened as a file."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise click.ClickException(f"port {port} cannot be served on: {error}") from None
    with server:
        click.echo(f"open http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("")
