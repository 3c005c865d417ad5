"""``muster lab``: the local world, in the background (up, down) or in the foreground (run)."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.errors import LabError
from muster import ending
from muster.errors import MusterError, UsageError

if TYPE_CHECKING:
    from lab.daemon import Status

SYSTEM = "x0tta6bl4"
ENVIRONMENT = "lab"
Say = Callable[[str], None]


def default_state() -> Path:
    """The state folder that is meant when none is named: ``$LAB_STATE``, or ``.lab`` in the working folder."""
    return Path(os.environ.get("LAB_STATE") or ".lab")


_system = click.option("--system", default=SYSTEM, show_default=True, help="Whose rules and responder it runs.")
_state = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_state,
    help="Its state folder.  [default: $LAB_STATE or .lab]",
)


def boot(system: str, state: Path, say: Say) -> dict[str, str]:
    """Bring the lab up with the system's rules, routes, dashboards and responder; return its endpoints.

    Raises :class:`MusterError` in one sentence; then nothing is left running.
    """
    from lab import daemon
    from muster import rules
    from muster.cli.lab_settled import wait_for_indicators
    from muster.responder.audit import forget
    from muster.system import load_environment, load_system

    facts = load_system(system)
    with _sentences():
        plan = daemon.plan(state)
        if not daemon.is_up(state):
            environment = load_environment(facts, ENVIRONMENT, endpoints=plan)
            config = Path(plan["state"]) / "config"
            rules.write(facts, environment, config)
            if facts.dashboards:
                rules.write(facts, environment, config / "dashboards", ("grafana",))
            forget(_audit(plan))  # decisions about an earlier world
        began, ran = time.monotonic(), daemon.is_up(state)
        endpoints = daemon.up(state, _responder(system, plan), say)
        if not ran and wait_for_indicators(facts, load_environment(facts, ENVIRONMENT, endpoints=endpoints)):
            say(f"{time.monotonic() - began:4.1f} s  every indicator recorded")
        return endpoints


def _responder(system: str, plan: dict[str, str]) -> list[str]:
    return [
        *(sys.executable, "-m", "muster", "respond", "--system", system, "--env", ENVIRONMENT),
        *("--listen", plan["responder"].removeprefix("http://")),
        *("--token-file", plan["token_file"], "--audit", str(_audit(plan))),
    ]


def _audit(plan: dict[str, str]) -> Path:
    return Path(plan["state"]) / "responder-audit.jsonl"


@contextmanager
def running(system: str, state: Path | None = None, say: Say = lambda _: None) -> Iterator[dict[str, str]]:
    """The endpoints of a lab for a while, for ``smoke`` and ``drill``.

    A lab that runs is used as it is (stopped components stay stopped) and left running; otherwise one is brought up
    and, at the end, taken down.
    """
    from lab import daemon

    folder = state or default_state()
    with (
        _sentences(),
        daemon.running(folder, lambda: boot(system, folder, say), lambda: say("taking the lab down")) as endpoints,
    ):
        yield endpoints


@contextmanager
def _sentences() -> Iterator[None]:
    from lab.daemon import DamagedError

    try:
        yield
    except DamagedError as error:
        raise UsageError(str(error)) from error
    except LabError as error:
        raise MusterError(str(error)) from error


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP end the command as Ctrl-C does: what it started is ended first."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ending.signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.group()
def command() -> None:
    """Run the local world: a Kubernetes API stand-in, real Prometheus, Alertmanager and HAProxy, pods as processes."""


@command.command()
@_system
@_state
def up(system: str, state: Path) -> None:
    """Bring it up in the background; nothing happens when it runs."""
    began = time.monotonic()
    with terminable():
        endpoints = boot(system, state, _progress)
    click.echo(f"{system}/{ENVIRONMENT} is up ({time.monotonic() - began:.1f} s)")
    for name in ("ingress", "prometheus", "alertmanager", "sink"):
        click.echo(f"  {name:<13}{endpoints[name]}")
    click.echo(f"  {'kubectl':<13}kubectl --kubeconfig {endpoints['kubeconfig']}")


@command.command()
@_state
def down(state: Path) -> None:
    """End everything that it runs; logs stay in the state folder."""
    from lab import daemon

    with _sentences():
        daemon.down(state)


@command.command()
@_state
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def status(state: Path, as_json: bool) -> int:
    """Show components and pods. Exit code 0 when every component runs, otherwise 1."""
    from dataclasses import asdict

    from rich.console import Console

    from muster.cli import lab_table

    now = _status(state)
    if as_json:
        click.echo(json.dumps({"schema": "lab/status/v1", "healthy": now.healthy, **asdict(now)}, indent=2))
    elif not now.components:
        click.echo(f"no lab runs in {state.absolute()}; `muster lab up` starts one")
    else:
        console = Console() if sys.stdout.isatty() else Console(width=160)
        console.print(lab_table.render(now, lab_table.observe_once(now.endpoints)))
    return 0 if now.healthy else 1


@command.command()
@_state
def kubeconfig(state: Path) -> None:
    """Print where the kubeconfig lies, for kubectl --kubeconfig $(muster lab kubeconfig)."""
    click.echo(_endpoint(state, "kubeconfig"))


@command.command()
@click.argument("component")
@_state
def stop(component: str, state: Path) -> None:
    """Stop one component, to see who notices."""
    from lab import daemon

    with _sentences():
        daemon.stop(state, component)


@command.command()
@click.argument("component")
@_state
def start(component: str, state: Path) -> None:
    """Start a component that was stopped or has failed, and wait until it is ready."""
    from lab import daemon

    with _sentences():
        daemon.start(state, component)


@command.command()
@_state
@click.option("--since", type=float, default=0.0, help="Only what arrived at or after this time (seconds since 1970).")
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def inbox(state: Path, since: float, as_json: bool) -> None:
    """Show who was told what: the pages and messages that have arrived."""
    import httpx

    url = f"{_endpoint(state, 'sink')}/inbox"
    try:
        answer = httpx.get(url, params={"since": since}, timeout=5.0, trust_env=False).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise MusterError(f"the inbox {url} cannot be read: {error or type(error).__name__}") from None
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for message in answer["messages"]:
        at = time.strftime("%H:%M:%S", time.localtime(message["received_at"]))
        told = f"{message['channel']} -> {message['to']}"
        click.echo(f"{at}  {message['action']:<8} {told:<28} {message['alert']}  {message['summary']}")


@command.command()
@_system
@_state
def run(system: str, state: Path) -> None:
    """Run it in the foreground with a live table, until Ctrl-C."""
    from lab import daemon
    from muster.cli import lab_table

    with _sentences():
        ours = not daemon.is_up(state)
    with terminable():
        try:
            with running(system, state, _progress) as endpoints:
                click.echo(f"kubectl --kubeconfig {endpoints['kubeconfig']} get pods -A")
                click.echo("Ctrl-C ends the lab." if ours else "It was running before: Ctrl-C leaves it running.")
                lab_table.watch(lambda: _status(state), endpoints)
        except KeyboardInterrupt:
            return


def _status(state: Path) -> Status:
    from lab import daemon

    with _sentences():
        return daemon.status(state)


def _endpoint(state: Path, name: str) -> str:
    now = _status(state)
    if not now.running:
        raise UsageError(f"no lab runs in {state.absolute()}; `muster lab up` starts one")
    try:
        return now.endpoints[name]
    except KeyError:
        file = state.absolute() / "endpoints.json"
        raise MusterError(f"{file} does not say where {name} is; `muster lab down` and `muster lab up`") from None


def _progress(text: str) -> None:
    click.echo(f"lab: {text}", err=True)
