"""The node, as its keeper sees it: cordoned, labelled, drained, lost and back. Leaves it as it was."""

import re
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.xdist_group("lab_stock")


def test_cordon_labels_and_taints(k, wait_until):
    """Each says what it did; a taint and a label are there and gone again."""
    assert k("cordon lab-node") == "node/lab-node cordoned\n"
    assert k.table("get nodes")[1][:2] == ["lab-node", "Ready,SchedulingDisabled"]
    assert k("uncordon lab-node") == "node/lab-node uncordoned\n"
    assert k.table("get nodes")[1][1] == "Ready"
    wait_until(lambda: not k.json("get node lab-node")["spec"].get("taints"), "the cordon's taint to go")
    assert k("label node lab-node lab=1") == "node/lab-node labeled\n"
    assert k("taint node lab-node lab=1:PreferNoSchedule") == "node/lab-node tainted\n"
    assert {"key": "lab", "value": "1", "effect": "PreferNoSchedule"} in k.json("get node lab-node")["spec"]["taints"]
    assert k("taint node lab-node lab-") == "node/lab-node untainted\n"
    assert k("label node lab-node lab-") == "node/lab-node unlabeled\n"


def test_a_budget_stops_a_drain(shop, wait_until):
    """No disruption allowed: drain cordons, is refused for each pod in the words of a 429, and gives up."""
    selector = {"matchLabels": {"app": "web"}}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
              "spec": {"minAvailable": 3, "selector": selector}}  # fmt: skip
    assert shop("apply -f -", stdin=budget) == "poddisruptionbudget.policy/web created\n"
    wait_until(lambda: shop.json("get pdb web")["status"].get("currentHealthy") == 3, "the budget to be counted")
    header, row = shop.table("get pdb")
    assert header == ["NAME", "MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS", "AGE"]
    assert row == ["web", "3", "N/A", "0", "AGE"]
    pods = shop.pods()
    try:
        with shop.start("drain lab-node --ignore-daemonsets --timeout=20s --pod-selector=app=web") as drain:
            refused = set()
            while len(refused) < len(pods) and (line := drain.stderr.readline()):
                refused |= {line} if line.startswith("error when evicting") else set()
            drain.terminate()  # it would go on for as long as it was told to
            assert drain.stdout.read().startswith("node/lab-node cordoned\nevicting pod ")
        words = "(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.\n"
        assert refused == {f'error when evicting pods/"{name}" -n "{shop.namespace}" {words}' for name in pods}
    finally:
        assert shop("uncordon lab-node") == "node/lab-node uncordoned\n"
    assert shop.pods() == pods
    assert shop("delete pdb web") == 'poddisruptionbudget.policy "web" deleted\n'


@pytest.fixture
def lost_node(world, wait_until):
    """Kill the agent; a node controller with a short grace beside the ordinary one finds out. Both undone."""
    argv = [sys.executable, "-m", "lab.controllers", "--state", str(world.state)]
    keeper = None
    world.stop("agent", signal.SIGKILL)

    def find_out():
        nonlocal keeper
        with (world.state / "keeper.out").open("ab") as log:
            more = ["--only", "node", "--node-grace-s", "0.5"]
            keeper = subprocess.Popen([*argv, *more], stdout=log, stderr=log)

    def come_back():
        nonlocal keeper
        if keeper is not None:
            keeper.terminate()
            keeper.wait(10)
            keeper = None
            world.start("agent")

    yield find_out, come_back
    if "agent" not in world._processes:
        world.start("agent")
    come_back()


def test_a_lost_node_and_its_return(shop, lost_node, wait_until):
    """Without its agent no logs, no exec, deletes hang; then NotReady, pods only seem to run; then all is well."""
    find_out, come_back = lost_node
    victim, *others = shop.pods()
    address = r'"https?://127\.[\d.]+:\d+/containerLogs/\S+/web": dial tcp 127\.[\d.]+:\d+: connect: connection refused'
    assert re.fullmatch(rf"Error from server: Get {address}\n", shop.fails(f"logs {victim}"))
    assert shop.run(f"exec {victim} -- env").code != 0
    assert shop.table("get pods")[1][1:3] == ["1/1", "Running"]
    hangs = shop.run(f"delete pod {victim} --timeout=1s")
    assert (hangs.code, hangs.out) == (1, f'pod "{victim}" deleted\n')
    assert hangs.err.endswith(f"error: timed out waiting for the condition on pods/{victim}\n")

    def replaced():
        rows = {row[0]: row[1:3] for row in shop.table("get pods")[1:]}
        return rows if len(rows) == 4 else None

    rows = wait_until(replaced, "another pod in its place")
    assert rows.pop(victim) == ["1/1", "Terminating"]
    assert [rows.pop(name) for name in others] == [["1/1", "Running"]] * 2
    assert list(rows.values()) == [["0/1", "Pending"]]
    find_out()
    wait_until(lambda: shop.table("get nodes")[1][1] == "NotReady", "the node to be given up")
    wait_until(lambda: shop.table("get deployment web")[1][1] == "0/3", "its pods to count as unready")
    described = shop("describe node lab-node")
    assert "node.kubernetes.io/unreachable:NoExecute" in described
    assert re.search(r"Ready +Unknown .*NodeStatusUnknown", described)
    words = r"Warning +NodeNotReady +pod/web-\S+ +Node is not ready"
    wait_until(lambda: re.search(words, shop("get events")), "the event")
    status = shop.run("rollout status deployment/web --timeout=4s")
    assert status.err.endswith("error: timed out waiting for the condition\n")
    assert status.out == 'Waiting for deployment "web" rollout to finish: 0 of 3 updated replicas are available...\n'
    come_back()
    wait_until(lambda: shop.table("get nodes")[1][1] == "Ready", "the node to be back")
    assert shop("rollout status deployment/web --timeout=30s").splitlines()[-1].endswith("successfully rolled out")
    assert victim not in shop.pods()
    wait_until(lambda: not shop.json("get node lab-node")["spec"].get("taints"), "the taints to go")
