"""A running lab and drills on it in processes of their own, to interrupt them and look what they leave behind.

The fixture on it stands in ``tests/drill/conftest.py``: ``ground``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import yaml
from children import children

from muster.kube import Kube, load_access
from muster.release.known import CONFIG_MAP
from muster.system import load_environment, load_system
from muster.wait import wait_until
from muster.workload import deployment_path, read_workload

ROOT = Path(__file__).parents[2]
# Every other plugin that is installed costs start-up time; Locust's even more than that.
PLUGINS = ("--disable-plugin-autoload", "-p", "muster.pytest_plugin", "-p", "no:cacheprovider")
NETWORK_CHAOS = "/apis/chaos-mesh.org/v1alpha1/namespaces/{}/networkchaos"


class Ground:
    """The lab, drills on it, and what of it nobody may find changed."""

    def __init__(self, endpoints, folder):
        self.env = load_environment(load_system("x0tta6bl4"), "lab", endpoints=endpoints)
        self.lab = Path(endpoints["state"])
        self.where, self.folder, self.state = self.env.kubernetes, folder, folder / "state"
        self.kube = Kube(load_access(self.where.kubeconfig, self.where.context), timeout_s=60)
        self.path = deployment_path(self.where.namespace, self.where.deployment)
        self._environ = {**os.environ, "LAB_STATE": endpoints["state"], "MUSTER_STATE": str(self.state)}
        for name in ("MUSTER_RUN", "MUSTER_PRODUCTION"):
            self._environ.pop(name, None)
        (folder / "experiments").mkdir()
        conftest = (ROOT / "experiments" / "conftest.py").read_text(encoding="utf-8")
        (folder / "experiments" / "conftest.py").write_text(conftest, encoding="utf-8")

    def write(self, name, **objectives):
        """bad-release under another name, without a look at the steady state, with these objectives in place of its."""
        may_fire = ["X0TTA6BL4HighErrorRateCritical", "X0TTA6BL4ErrorRatioRollback"]  # 15% of the requests do fail
        return self._save(name, {"may_fire": may_fire, **objectives})

    def write_waiting(self, name, fault, **objectives):
        """An experiment that injects this fault and then waits for what never happens, so that it can be interrupted.

        Args:
            name: Its name and its file's.
            fault: Arguments of ``inject``.
            objectives: Its promises; that nothing is rolled back is one of them.
        """
        action = {"type": "python", "module": "muster.chaos.actions", "func": "inject", "arguments": fault}
        never = {"event": "check.failed", "within": "90s"}  # only the probe ``found`` tells of it
        probe = {"type": "python", "module": "muster.chaos.probes", "func": "happened", "arguments": never}
        method = [
            {"type": "action", "name": "break", "provider": action},
            {"type": "probe", "name": "wait", "provider": probe},
        ]
        return self._save(name, objectives, title="It waits until it is cut short", method=method)

    def _save(self, name, objectives, **parts):
        text = (ROOT / "experiments" / "bad-release.yaml").read_text(encoding="utf-8")
        experiment = yaml.safe_load(text.replace("{name: bad-release}", f"{{name: {name}}}")) | parts
        del experiment["steady-state-hypothesis"]
        experiment["extensions"] = [{"name": "muster", "must_not": ["rollback"], **objectives}]
        file = self.folder / "experiments" / f"{name}.yaml"
        file.write_text(yaml.safe_dump(experiment), encoding="utf-8")
        return file

    def begin(self, *arguments, **environ):
        """A started ``muster``; its words go to ``.output``."""
        return self._start("muster", *arguments, **environ)

    def pytest(self, *arguments):
        """``pytest EXPERIMENTS`` as a user types it: no look at the whole system before, so that it costs less."""
        return self._start("pytest", *PLUGINS, "--rootdir", self.folder, *arguments)

    def _start(self, module, *arguments, **environ):
        output = self.folder / "output"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                cwd=ROOT,
                env={**self._environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        process.output = output
        return process

    def await_event(self, drill, run, name, kind, *, timeout_s=60):
        """Wait until the running drill tells of it. What it said is in the error if it does not, or has ended."""
        self.await_event_or_end(drill, run, name, kind, timeout_s=timeout_s)
        assert drill.poll() is None, drill.output.read_text()

    def await_event_or_end(self, drill, run, name, kind, *, timeout_s=60):
        """The same, where the drill may end as soon as it has told of it."""
        seen = lambda: told(run, name, kind) or drill.poll() is not None  # noqa: E731
        wait_until(seen, bool, what=kind, timeout_s=timeout_s, show=lambda _: drill.output.read_text())

    def children(self, drill, word):
        """The drill's own processes whose command line holds this word."""
        return children(word, drill.pid)

    def whole(self):
        return not read_workload(self.kube, self.where.namespace, self.where.deployment).shortfall()

    def network_chaos(self):
        """The objects that break networks here."""
        return self.kube.get(NETWORK_CHAOS.format(self.where.namespace))["items"]

    def left(self):
        """What drills would have left: objects that break networks, marks, and processes of theirs."""
        space = self.where.namespace
        pods = self.kube.get(f"/api/v1/namespaces/{space}/pods")["items"]
        marked = [pod for pod in pods if "muster.dev/fault" in (pod["metadata"].get("annotations") or {})]
        named = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
        return {
            "objects": [item["metadata"]["name"] for item in self.network_chaos() + marked],
            "processes": [line for line in named if str(self.state) in line],  # watchdogs
        }

    def going(self):
        """The pods that are on their way out."""
        pods = self.kube.get(f"/api/v1/namespaces/{self.where.namespace}/pods")["items"]
        return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]

    def versions(self):
        """Every object that drills touch, by its version; the responder writes its own record in its own time.

        A pod that stands still for a moment has another status, and so has what owns it: theirs do not count.
        """
        space = self.where.namespace
        paths = [f"/api/v1/namespaces/{space}/{kind}" for kind in ("pods", "configmaps", "services")]
        paths += [f"/apis/apps/v1/namespaces/{space}/{kind}" for kind in ("deployments", "replicasets")]
        paths += [f"/apis/networking.k8s.io/v1/namespaces/{space}/ingresses"]
        paths += [f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases", NETWORK_CHAOS.format(space)]
        return {
            (path, item["metadata"]["name"]): _version(path, item["metadata"])
            for path in paths
            for item in self.kube.get(path)["items"]
            if item["metadata"]["name"] != CONFIG_MAP
        }


def _version(path, metadata):
    if path.endswith(("/pods", "/deployments", "/replicasets")):
        return {key: value for key, value in metadata.items() if key not in ("resourceVersion", "managedFields")}
    return metadata["resourceVersion"]


def told(run, name, kind):
    """Whether that experiment of a run, which may not have begun, has told of it."""
    events = run / "experiments" / name / "events.jsonl"
    return events.is_file() and f'"{kind}"' in events.read_text(encoding="utf-8")


def read(run, name):
    """timeline.json of one experiment of a run."""
    return json.loads((run / "experiments" / name / "timeline.json").read_text(encoding="utf-8"))


def at(timeline, kind):
    """When the first event of this kind was, in seconds since the epoch."""
    return next(event["at"] for event in timeline["events"] if event["kind"] == kind)


def stopped(timeline):
    """The event by which a stop condition ended it."""
    return next(event for event in timeline["events"] if event["data"].get("stopped"))
