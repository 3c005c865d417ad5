"""``muster report``: the HTML report of one run, with the history of those before it."""

from __future__ import annotations

from functools import partial
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from muster.errors import MusterError
from muster.report import allure, html, page, runbook
from muster.system import System, load_system


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
    system = load_system(html.system_of(chosen))
    pages = _pages(reports, system)
    index = html.build(reports, chosen, pages, [allure.COVERAGE_PAGE], _links(system, pages))
    click.echo(f"report of {chosen.name}: {index}")
    if serve:
        _serve(index.parent, port)


def _links(system: System, pages: dict[str, str]) -> dict[str, str]:
    """Names of links that lead to these pages, for every section that a check can name."""
    sections = [f"{name}#{section.anchor}" for name in system.runbooks for section in runbook.of(system, name)]
    found = {name: url for anchor in sections for url, name in allure.links(system, anchor)}
    return {name: url for name, url in found.items() if url.partition("#")[0] in pages}


def _pages(reports: Path, system: System) -> dict[str, str]:
    """The runbooks of the run's system and their coverage, as pages of the report."""
    from muster.cli.coverage import base
    from muster.coverage import cover, render

    try:
        coverage = render(cover(system, base(), reports))
    except MusterError as error:  # the run can be shown all the same
        coverage = page.page("Coverage", f"<h1>Coverage</h1><p class='bad'>{escape(str(error))}</p>")
    pages = {allure.COVERAGE_PAGE: coverage}
    for name, entry in system.runbooks.items():
        file = system.runbook_file(name)
        if file is not None and file.is_file():
            text = page.runbook(entry.title, file.read_text(encoding="utf-8"))
            pages[f"{allure.PAGES}/{name}.html"] = text
    return pages


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
