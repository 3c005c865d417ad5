"""The table of the lab's components: which programs they are and when each counts as ready."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import lab
from lab.daemon import alertmanager, prometheus
from lab.daemon.folder import Folder
from lab.daemon.supervisor import Component
from lab.daemon.world import World
from lab.errors import LabError

PACKAGE = Path(lab.__file__).parent
# Debian calls Alertmanager's program prometheus-alertmanager, everybody else alertmanager.
PROGRAMS = {
    "haproxy": ("haproxy",),
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
# Debian keeps servers where an ordinary user's PATH does not look.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
# Two cores are shared by everything: one thread, and a quarter less CPU for 50 MB of memory (Prometheus collects after
# each 75% of growth otherwise).
_GO = {"GOMAXPROCS": "1", "GOGC": "400"}


def program(component: str) -> str:
    """The path of a component's program. Raises :class:`LabError` that says how to get it."""
    for name in PROGRAMS[component]:
        if found := shutil.which(name, path=_PATH):
            return found
    names = " or ".join(PROGRAMS[component])
    raise LabError(f"{names} is not on PATH; `make setup` installs it (lab/setup.sh says what is needed)")


def haproxy_configuration(folder: Folder) -> Path:
    """Where HAProxy's configuration lies."""
    return folder.haproxy_socket.parent / "haproxy.cfg"


def components(folder: Folder, plan: dict[str, str], responder: list[str] | None, world: World) -> list[Component]:
    """Every component, in order of their start. Raises :class:`LabError` when a program is missing."""
    state, scale, images = str(folder.root), plan["time_scale"], str(PACKAGE / "images.yaml")

    def python(name: str, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", f"lab.{name}", "--state", state, *arguments)

    table = [
        Component(name="api", argv=python("api", "--port", port(plan["api"])), ready=world.api_answers),
        Component(
            name="controllers",
            argv=python(
                "controllers", "--time-scale", scale, "--kube-state-metrics-port", port(plan["kube_state_metrics"])
            ),
        ),
        Component(
            name="agent",
            argv=python("agent", "--images", images, "--time-scale", scale, "--port", port(plan["kubelet"])),
            ready=world.node_is_ready,
        ),
        Component(
            name="haproxy",
            argv=(program("haproxy"), "-db", "-f", str(haproxy_configuration(folder))),
            ready=world.listens(plan["ingress"]),
            grace_s=0.5,
        ),
        Component(
            name="prometheus",
            argv=prometheus.argv(program("prometheus"), folder, plan),
            ready=world.answers(f"{plan['prometheus']}/-/ready"),
            env=_GO,
        ),
        Component(
            name="alertmanager",
            argv=alertmanager.argv(program("alertmanager"), folder, plan),
            ready=world.answers(f"{plan['alertmanager']}/-/ready"),
            # The mail server's certificate is the lab's own; Go looks here, and in the system's folder too.
            env=_GO | {"SSL_CERT_FILE": str(folder.root / "pki" / "ca.crt")},
        ),
        Component(
            name="sink",
            argv=python("sink", "--port", port(plan["sink"]), "--smtp-port", port(plan["smtp"])),
            ready=world.answers(f"{plan['sink']}/healthz"),
        ),
    ]
    if responder is not None:
        ready = world.answers(f"{plan['responder']}/readyz")
        # It starts before endpoints.json exists; the plan holds the same addresses.
        env = {"LAB_ENDPOINTS": str(folder.plan), "LAB_STATE": state}
        table.append(Component(name="responder", argv=tuple(responder), ready=ready, env=env))
    return table


def port(address: str) -> str:
    """The port of an address such as ``http://127.0.0.1:8080``."""
    return address.rpartition(":")[2]
