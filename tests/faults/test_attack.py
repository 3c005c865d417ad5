"""A drill is killed at random instants, and each time ``muster heal`` leaves nothing of it.

``MUSTER_ATTACKS`` is how often (8; ``make attack``: 50), ``MUSTER_SEED`` repeats a series. A kill that comes when the
drill has ended by itself is none: it is tried again.
"""

import collections
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from muster.faults import Ledger
from muster.faults.bad_canary import WEIGHT
from muster.kube import Kube, KubeError, load_access
from muster.system import load_environment, load_system
from muster.wait import wait_until
from muster.workload import hash_of, read_workload, withdrawn

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

ATTACKS = int(os.environ.get("MUSTER_ATTACKS", "8"))
MARK = "muster.dev/fault"
# What is imported on first use is imported before the clock starts: no instant is wasted on it.
DRILL = """
import sys
from pathlib import Path
import chaoslib.experiment, muster.chaos.actions, muster.chaos.recorder, muster.chaos.sources
from muster.chaos.run import load, run
load(Path(sys.argv[1]))
print("ready", flush=True)
if sys.stdin.readline():
    run(Path(sys.argv[1]))
"""
# func and arguments of the fault -> how many seconds its injection, confirmation and healing take, and how often
FAULTS = {
    "partition": ("inject", {"kind": "network_partition"}, 1.0, 3),
    "delay": ("inject", {"kind": "network_delay", "latency": "20ms"}, 1.0, 2),
    "ingress": ("inject", {"kind": "ingress_backend", "last_replica": True}, 1.0, 3),
    "drain": ("inject", {"kind": "node_drain", "patience": "0s"}, 3.0, 2),
    "scale": ("inject", {"kind": "scale_to_zero", "last_replica": True}, 4.0, 1),
    "pods": ("inject", {"kind": "pod_kill"}, 2.0, 1),
    "release": ("release", {"environment": {"ATTACK": "yes"}}, 8.0, 1),
    "canary": ("inject", {"kind": "bad_canary", "env_vars": {"ATTACK": "yes"}}, 5.0, 1),
}


class Victim:
    """A lab, drills on it that are killed, and what it must look like afterwards."""

    def __init__(self, endpoints, folder):
        self.env = load_environment(load_system("x0tta6bl4"), "lab", endpoints=endpoints)
        self.where, self.folder = self.env.kubernetes, folder
        self.kube = Kube(load_access(self.where.kubeconfig, self.where.context), timeout_s=60)
        self.ledger = Ledger(folder / "state")
        self.ledger.begin()  # a drill that is killed before it has one leaves nothing, and healing could not know that
        self.environ = {**os.environ, "LAB_STATE": endpoints["state"], "MUSTER_STATE": str(folder / "state")}
        self.environ["MUSTER_RUN"] = str(folder / "run")
        self.lasts_s = {name: seconds for name, (_, _, seconds, _) in FAULTS.items()}

    def write(self, name):
        """The smallest experiment that goes the whole way: record, watchdog, mark, fault, confirmation, healing."""
        func, arguments, *_ = FAULTS[name]
        python = {"type": "python", "module": "muster.chaos.actions"}
        experiment = {
            "title": "An attack",
            "description": "is killed",
            "runtime": {"rollbacks": {"strategy": "always"}},
            "controls": [
                {
                    "name": "recorder",
                    "provider": {"type": "python", "module": "muster.chaos.recorder", "arguments": {"name": name}},
                }
            ],
            "extensions": [{"name": "muster", "must_not": ["rollback"], "stop": {"user_errors_above": "100%"}}],
            "method": [
                {"type": "action", "name": "break", "provider": {**python, "func": func, "arguments": arguments}}
            ],
            "rollbacks": [{"type": "action", "name": "heal", "provider": {**python, "func": "heal"}}],
        }
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(experiment))
        return file

    def warm_up(self, name):
        """A drill that waits for its first line, so that its start costs no time later."""
        with (self.folder / "drills.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", DRILL, str(self.write(name))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environ,
                cwd=self.folder,
            )

    def kill(self, drill, name, chance):
        """Let it go and kill it: one time in five anywhere at its start, else within what begins with the record.

        Returns the phase it was killed in, by the ledger's word.
        """
        before = {entry.id for entry in self.ledger.entries()}

        def new():
            return [entry for entry in self.ledger.entries() if entry.id not in before]

        assert drill.stdout.readline() == b"ready\n", (self.folder / "drills.log").read_text()[-2000:]
        drill.stdin.write(b"go\n")
        drill.stdin.flush()
        if chance.random() < 0.2:
            after_s = chance.uniform(0, 1)
        else:
            seen = lambda: new() or drill.poll() is not None  # noqa: E731
            wait_until(seen, bool, what="the record", timeout_s=60, every_s=0.002)
            after_s = chance.uniform(0, chance.choice((0.4, self.lasts_s[name])))  # half of them: while it is injected
        began = time.monotonic()
        until = began + after_s
        done = lambda: drill.poll() is not None or time.monotonic() >= until  # noqa: E731
        wait_until(done, bool, what="the instant", timeout_s=60, every_s=0.002)
        ended = drill.poll() is not None
        if ended:  # it is quicker than was thought: the next one of its kind is killed sooner
            self.lasts_s[name] = min(self.lasts_s[name], 0.8 * (time.monotonic() - began))
        drill.send_signal(signal.SIGKILL)
        drill.communicate(timeout=30)
        states = [entry.state for entry in new()]
        return "ended by itself" if ended else states[0] if states else "before the record"

    def heal(self):
        """As a person does, in a new process; what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "muster", "heal"],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def picture(self):
        """All that the faults touch, without what changes by itself."""
        space = self.where.namespace
        chaos = f"/apis/chaos-mesh.org/v1alpha1/namespaces/{space}"
        lists = {
            "pods": f"/api/v1/namespaces/{space}/pods",
            "replicasets": f"/apis/apps/v1/namespaces/{space}/replicasets",
            "ingresses": f"/apis/networking.k8s.io/v1/namespaces/{space}/ingresses",
            "nodes": "/api/v1/nodes",
        }
        found = {kind: self.kube.get(path)["items"] for kind, path in lists.items()}
        names = (self.where.deployment, self.env.rollback.canary.deployment)
        workloads = {name: read_workload(self.kube, space, name) for name in names}
        deployments = [seen.deployment for seen in workloads.values()]
        marked = [
            item["metadata"]["name"]
            for item in [*deployments, *(item for items in found.values() for item in items)]
            if MARK in (item["metadata"].get("annotations") or {})
        ]
        return {
            "deployments": [item["spec"] for item in deployments],
            "ingresses": {item["metadata"]["name"]: item["spec"] for item in found["ingresses"]},
            "weights": [item["metadata"].get("annotations", {}).get(WEIGHT) for item in found["ingresses"]],
            "ways back": [
                hash_of(item) for seen in workloads.values() for item in seen.replicasets if not withdrawn(item)
            ],
            "cordoned": [item["metadata"]["name"] for item in found["nodes"] if item["spec"].get("unschedulable")],
            "chaos": [
                item["metadata"]["name"]
                for kind in ("networkchaos", "stresschaos", "podchaos")
                for item in self.kube.get(f"{chaos}/{kind}")["items"]
            ],
            "marked": marked,
            "short of": "".join(seen.shortfall() for seen in workloads.values()),
        }

    def processes(self):
        """What still runs for these drills: watchdogs, healings, drills."""
        everybody = psutil.process_iter(["cmdline"])
        named = [each for each in everybody if str(self.folder) in " ".join(each.info["cmdline"] or [])]
        return [" ".join(each.info["cmdline"]) for each in named if each.pid != os.getpid()]


@pytest.fixture(scope="module")
def victim(lab, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_STATE", lab["state"])
        found = Victim(lab, tmp_path_factory.mktemp("attack"))
        yield found
        found.kube.close()


def test_nothing_is_left_of_a_drill_that_was_killed_at_any_instant(victim):
    """Spec, marks, objects, nodes, ledger and processes are as before, and the next drill is kept from nothing."""
    seed = int(os.environ.get("MUSTER_SEED") or random.SystemRandom().randrange(10**6))
    chance = random.Random(seed)  # noqa: S311 - it chooses instants
    names = chance.choices(list(FAULTS), weights=[weight for *_, weight in FAULTS.values()], k=ATTACKS)
    before = wait_until(
        victim.picture, lambda seen: not seen["short of"], what="a whole lab", timeout_s=60, tolerate=(KubeError,)
    )
    assert (before["chaos"], before["marked"], before["cordoned"]) == ([], [], [])
    phases = collections.Counter()
    drill = victim.warm_up(names[0])
    for number, name in enumerate(names):  # it grows
        here = f"attack {number} ({name}), MUSTER_SEED={seed}"
        phase = victim.kill(drill, name, chance)
        phases[phase] += 1
        print(f"{here}: {phase}")
        if phase == "ended by itself" and len(names) < 2 * ATTACKS:
            names.append(name)
        if number + 1 < len(names):
            drill = victim.warm_up(names[number + 1])  # meanwhile
        victim.heal()
        assert victim.heal().startswith("no faults are left in "), here
        assert victim.ledger.left() == [], here
        what = f"{here}: all as before"
        wait_until(victim.picture, lambda seen: seen == before, what=what, timeout_s=60, tolerate=(KubeError,))
    wait_until(victim.processes, lambda left: not left, what=f"{here}: no process", timeout_s=20)
    print(f"{ATTACKS} attacks, MUSTER_SEED={seed}: {dict(phases)}")
    assert phases.total() - phases["ended by itself"] == ATTACKS, phases
    if ATTACKS >= 50:
        assert {"opening", "injected"} <= set(phases), phases
