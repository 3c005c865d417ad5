"""The state of objects as metrics: real names and labels, and the world's own alert expressions see a crash loop."""

import shutil
import subprocess
import sys

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from lab.controllers.kubestate.exporter import Exporter
from lab.controllers.kubestate.pods import samples
from lab.controllers.kubestate.samples import line
from lab.controllers.work import Informers
from lab.resources import PODS

# The expression of the alert KubePodCrashLooping, as published by the kubernetes-mixin project; 5 m at time scale 60.
CRASH_LOOPING = 'max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff", job="kube-state-metrics"}[5s]) >= 1'  # noqa: E501


@pytest.fixture
def exported(world, wait_until):
    """A function: the samples of one family whose labels include these, as a list of (labels, value)."""

    def read(family, **labels):
        answer = httpx.get(f"http://127.0.0.1:{world.metrics_port}/metrics")
        page = answer.text if answer.status_code == 200 else ""
        every = (sample for metric in text_string_to_metric_families(page) for sample in metric.samples)
        return [(one.labels, one.value) for one in every if one.name == family and labels.items() <= one.labels.items()]

    wait_until(lambda: read("kube_node_status_condition"), "the first page")
    return read


def test_a_deployment_and_its_pods_are_told_as_kube_state_metrics_tells_them(world, namespace, exported, wait_until):
    """Counts, phases, readiness, owners and limits carry the object's own namespace and names."""
    limits = {"limits": {"memory": "64Mi", "cpu": "250m"}}
    world.deployment(namespace, replicas=2, container={"resources": limits})
    world.wait_rolled_out(namespace)
    where = {"namespace": namespace}
    wanted = {
        "spec_replicas": 2,
        "status_replicas_available": 2,
        "status_replicas_updated": 2,
        "metadata_generation": 1,
    }

    def counts():
        found = {name: exported(f"kube_deployment_{name}", deployment="web", **where) for name in wanted}
        return {name: samples[0][1] for name, samples in found.items()} == wanted

    wait_until(counts, "the page to follow")
    available = exported("kube_deployment_status_condition", condition="Available", status="true", **where)
    assert [(labels["reason"], value) for labels, value in available] == [("MinimumReplicasAvailable", 1)]
    running = [labels for labels, value in exported("kube_pod_status_phase", phase="Running", **where) if value]
    assert len(running) == 2
    assert set(running[0]) == {"namespace", "pod", "uid", "phase"}
    assert len([one for one, value in exported("kube_pod_status_ready", condition="true", **where) if value]) == 2
    memory = exported("kube_pod_container_resource_limits", resource="memory", unit="byte", **where)
    assert [value for _, value in memory] == [64 * 2**20] * 2
    assert memory[0][0]["node"] == "lab-node"
    cpu = exported("kube_pod_container_resource_requests", resource="cpu", unit="core", **where)
    assert [value for _, value in cpu] == [0.25] * 2
    replica_set = exported("kube_replicaset_owner", owner_kind="Deployment", owner_name="web", **where)[0][0]
    assert {labels["owner_name"] for labels, _ in exported("kube_pod_owner", **where)} == {replica_set["replicaset"]}
    assert exported("kube_node_status_condition", node="lab-node", condition="Ready", status="true")[0][1] == 1


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_prometheus_sees_a_crash_loop_by_the_names_that_alerts_use(world, namespace, exported, wait_until, tmp_path):
    """The kubernetes-mixin's KubePodCrashLooping expression returns the pod; restarts and the last exit are counted."""
    world.pod(namespace, "crash", image="lab.test/sh:1", args=["exit 3"])
    scraped = {"targets": [f"127.0.0.1:{world.metrics_port}"]}
    job = {"job_name": "kube-state-metrics", "honor_labels": True, "static_configs": [scraped]}
    config = {"global": {"scrape_interval": "100ms", "scrape_timeout": "100ms"}, "scrape_configs": [job]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = world.free_port()
    argv = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    argv += [f"--web.listen-address=127.0.0.1:{port}"]

    def query(text):
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": text}).json()
        except (httpx.HTTPError, ValueError):
            return []  # not up yet
        return [one for one in answer["data"]["result"] if one["metric"]["namespace"] == namespace]

    with (tmp_path / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as prometheus:
        try:
            (found,) = wait_until(lambda: query(CRASH_LOOPING), "the crash loop to be seen", 60)
            assert (found["metric"]["pod"], found["metric"]["container"]) == ("crash", "main")
            wait_until(lambda: query("increase(kube_pod_container_status_restarts_total[15s]) > 1"), "restarts", 60)
        finally:
            prometheus.terminate()
    assert exported("kube_pod_container_status_last_terminated_exitcode", namespace=namespace)[0][1] == 3
    assert exported("kube_pod_container_status_last_terminated_reason", namespace=namespace, reason="Error")


def test_a_pod_that_nobody_has_touched_yet_says_only_what_is_known():
    """No phase, no conditions, no containers' states: no samples that would have to guess them."""
    meta = {"namespace": "n", "name": "p", "uid": "u"}
    families = {name for name, _, _ in samples({"metadata": meta, "spec": {"containers": [{"name": "c"}]}})}
    assert families == {"kube_pod_info", "kube_pod_owner", "kube_pod_restart_policy"}


def test_label_values_are_escaped_as_the_text_format_asks():
    """Backslash, quote and line break; values without the noise of binary fractions."""
    assert line("f", {}, 9 * 1e-3) == "f{} 0.009\n"
    assert line("f", {"a": 'x\\"\n'}, 0.5) == 'f{a="x\\\\\\"\\n"} 0.5\n'


def test_a_port_that_is_taken_is_one_sentence(world):
    """The process says so and ends, with nothing half-started; a controller that is switched off is not started."""
    argv = [sys.executable, "-m", "lab.controllers", "--state", str(world.state), "--except", "ingress,node"]
    argv += ["--kube-state-metrics-port", str(world.metrics_port)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    said = (
        f"lab.controllers: kube-state-metrics cannot listen on 127.0.0.1:{world.metrics_port}: Address already in use"
    )
    assert (ended.returncode, ended.stderr.strip()) == (1, said)


def test_one_odd_object_does_not_cost_the_page_of_all_others():
    """A pod that says less than any pod may is logged; the rest is told."""
    informers = Informers(None)
    exporter = Exporter(informers, 0)
    for number, (name, spec) in enumerate([("odd", {}), ("good", {"containers": [{"name": "c"}]})], start=1):
        meta = {"namespace": "n", "name": name, "uid": name, "resourceVersion": str(number)}
        informers.of(PODS).learn({"metadata": meta, "spec": spec})
    assert b'kube_pod_restart_policy{namespace="n",pod="good",uid="good",type="Always"} 1\n' in exporter.page()
