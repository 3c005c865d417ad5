"""``muster respond``: serve Alertmanager's webhook; roll back what deserves it."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
from pathlib import Path

import click

from muster.errors import MusterError, UsageError


@click.command(
    epilog="Exit codes: 0 ended by a signal (what was begun is on record and resumed at the next start), 1 it cannot "
    "serve, 4 usage: the facts, the token or the address cannot be used."
)
@click.option("--system", "system_name", envvar="MUSTER_SYSTEM", default="x0tta6bl4", show_default=True)
@click.option("--env", "env_name", envvar="MUSTER_ENV", default="lab", show_default=True)
@click.option("--listen", default="127.0.0.1:8085", show_default=True, metavar="ADDRESS:PORT")
@click.option("--allow-remote", is_flag=True, help="Listen on an address that other machines can reach.")
@click.option("--token-file", required=True, type=click.Path(path_type=Path), help="Bearer token of the webhook.")
@click.option(
    "--audit",
    "audit_file",
    type=click.Path(path_type=Path),
    help="JSON lines of all decisions. Default: $MUSTER_STATE (or .muster)/audit/SYSTEM-ENV.jsonl",
)
def command(
    *, system_name: str, env_name: str, listen: str, allow_remote: bool, token_file: Path, audit_file: Path | None
) -> None:
    """Serve Alertmanager's webhook; roll back what deserves it, and prove it."""
    from aiohttp import web

    from muster.kube import Kube, load_access
    from muster.release import Monitor
    from muster.responder.audit import Audit
    from muster.responder.engine import Responder
    from muster.responder.server import Server
    from muster.system import load_environment, load_system

    host, port = _address(listen, allow_remote=allow_remote)
    token = _token(token_file)
    system = load_system(system_name)
    env = load_environment(system, env_name)
    if env.kubernetes is None:
        raise UsageError(f"environment {env_name} declares no kubernetes, so there is nothing to roll back")
    path = audit_file or Path(os.environ.get("MUSTER_STATE") or ".muster", "audit", f"{system.name}-{env_name}.jsonl")
    with (
        _listening(host, port) as listener,
        Kube(load_access(env.kubernetes.kubeconfig, env.kubernetes.context)) as kube,
        Monitor(env) as monitor,
    ):
        address = "{}:{}".format(*listener.getsockname()[:2])
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        audit = Audit(path)
        try:
            # Nobody else can listen there, so whoever held a lock under this name is an earlier run of this one.
            me = f"{socket.gethostname()}/{address}"
            responder = Responder(
                system=system, env=env, source=env.kubernetes, kube=kube, monitor=monitor, audit=audit, me=me
            )
            print(f"{system.name}/{env_name}: listening on http://{address}, acting at {kube.server}", flush=True)
            web.run_app(Server(responder, token).app(), sock=listener, print=None, access_log=None, shutdown_timeout=2)
        finally:
            audit.close()


def _address(listen: str, *, allow_remote: bool) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen {listen} is not an address and a port, such as 127.0.0.1:8085")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise UsageError(f"--listen {listen}: {host} is not an IP address") from None
    if not address.is_loopback and not allow_remote:
        raise UsageError(f"--listen {listen} can be reached by other machines; say --allow-remote if that is meant")
    return str(address), int(port)


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"the token file {path} cannot be read: {reason}") from None
    if len(token) < 16:
        raise UsageError(f"the token in {path} is shorter than 16 characters, so it protects nothing")
    return token


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # at once: until then another one could bind the same port, and act under our name
    except OSError as error:
        listener.close()
        raise MusterError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener
