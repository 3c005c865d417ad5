"""A rollback by a program of the user's: no shell, a bound, the names of what to roll back in its environment."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from muster.errors import MusterError, Unknown
from muster.release.model import Release, source_of
from muster.system import Environment
from muster.system.rollback import Command

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")  # of ours; anything else may be a secret
_TAIL_BYTES = 4096
_GRACE_S = 5.0  # from SIGTERM to SIGKILL


class CommandError(MusterError):
    """The command could not be started, failed, or took too long."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that ended with 0; that proves nothing."""

    took_s: float
    said: str  # its last line


def command_of(env: Environment) -> Command:
    """The environment's command. Raises :class:`~muster.errors.Unknown` when it declares none."""
    if env.rollback.command is None:
        raise Unknown(f"environment {env.name} declares no rollback command")
    return env.rollback.command


def environment_for(env: Environment, bad: Release, target: Release) -> dict[str, str]:
    """What the command is told: names and numbers of the releases, and where the cluster's kubeconfig is."""
    source = source_of(env)
    told = {
        "KUBECONFIG": source.kubeconfig,
        "MUSTER_KUBE_CONTEXT": source.context or "",
        "MUSTER_ENVIRONMENT": env.name,
        "MUSTER_NAMESPACE": bad.namespace,
        "MUSTER_DEPLOYMENT": bad.deployment,
        "MUSTER_CONTAINER": source.container,
        "MUSTER_BAD_REVISION": str(bad.revision),
        "MUSTER_BAD_IMAGES": ",".join(bad.images),
        "MUSTER_TARGET_REVISION": str(target.revision),
        "MUSTER_TARGET_IMAGES": ",".join(target.images),
        "MUSTER_TARGET_DIGESTS": ",".join(sorted(target.digests)),
    }
    return {**{key: os.environ[key] for key in _INHERITED if key in os.environ}, **told}


def run_command(env: Environment, bad: Release, target: Release, *, tick: Callable[[], None]) -> Ran:
    """Run it to its end, calling ``tick`` meanwhile. What that raises leaves it running, for a successor to judge.

    Raises :class:`CommandError`. A command that takes too long is ended with everything it started.
    """
    command = command_of(env)
    name = command.argv[0]
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command.argv,
                env=environment_for(env, bad, target),
                cwd=env.base_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its children are ended with it
            )
        except OSError as error:
            raise CommandError(f"the rollback command {name} cannot be started: {error.strerror}") from None
        while True:
            try:
                code = process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                tick()
            if time.monotonic() - began > command.timeout_s:
                _end(process)
                raise CommandError(f"the rollback command {name} was ended: it took longer than {command.timeout_s:g}s")
        said = _last_line(output)
    if code:
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        raise CommandError(f"the rollback command {name} {how}" + (f": {said}" if said else ""))
    return Ran(took_s=time.monotonic() - began, said=said)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(process.pid, number)
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            continue
        return


def _last_line(output: IO[bytes]) -> str:
    """The last line that it said; secrets that tell themselves by their shape are taken out."""
    from muster.read.redact import redacted

    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL_BYTES))
    lines = output.read().decode(errors="replace").strip().splitlines()
    return str(redacted(lines[-1].strip()))[:300] if lines else ""
