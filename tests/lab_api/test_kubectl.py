"""Stock kubectl as the judge. No controllers run here, so the tests write statuses themselves."""

from __future__ import annotations

import json
import re

import pytest

MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def k(kubectl, namespace):
    """Stock kubectl in this test's namespace."""

    def run(*arguments, **options):
        return kubectl("-n", namespace, *arguments, **options)

    return run


@pytest.fixture
def web(k, deployment):
    """A Deployment that was applied."""
    manifest = deployment(env=[{"name": "LOG_LEVEL", "value": "info"}], ports=[{"containerPort": 80, "name": "http"}])
    assert k("apply", "-f", "-", stdin=manifest) == "deployment.apps/web created\n"
    return manifest


def _spec(k):
    return json.loads(k("get", "deployment", "web", "-o", "json"))["spec"]


def _complete(http, namespace, **status):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    body = http.get(path).json()
    replicas, generation = body["spec"]["replicas"], body["metadata"]["generation"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    conditions = [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}]
    sent = {"status": {"observedGeneration": generation, "conditions": conditions, **counts, **status}}
    http.patch(f"{path}/status", json=sent, headers=MERGE).raise_for_status()


def test_it_finds_its_resources(kubectl):
    """api-resources and version from discovery."""
    listed = kubectl("api-resources", "--no-headers")
    for line in (r"pods +po +v1 +true +Pod", r"deployments +deploy +apps/v1 +true +Deployment",
                 r"nodes +no +v1 +false +Node", r"ingresses +ing +networking.k8s.io/v1 +true +Ingress"):  # fmt: skip
        assert re.search(line, listed)
    assert "Server Version: v1." in kubectl("version")
    assert "apps/v1" in kubectl("api-versions").splitlines()


def test_apply_merges_three_ways(k, web, http, namespace):
    """A second apply is unchanged; a changed manifest changes its own fields and removes what it dropped."""
    assert k("apply", "-f", "-", stdin=web) == "deployment.apps/web unchanged\n"
    assert k("apply", "-f", "-", "--dry-run=server", stdin=web) == "deployment.apps/web unchanged (server dry run)\n"
    k("scale", "deployment/web", "--replicas=5")
    k("set", "env", "deployment/web", "OTHER=1")
    web["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "NEW", "value": "2"}]
    del web["spec"]["replicas"]
    assert k("apply", "-f", "-", stdin=web) == "deployment.apps/web configured\n"
    env = _spec(k)["template"]["spec"]["containers"][0]["env"]
    assert sorted(one["name"] for one in env) == ["NEW", "OTHER"]


def test_create_validates_on_the_server(k, deployment):
    """Validation is on by default: an unknown field is an error, and so is a second create."""
    manifest = deployment("other")
    manifest["spec"]["nosuch"] = 1
    assert 'unknown field "spec.nosuch"' in k("create", "-f", "-", stdin=manifest, fails=True)
    del manifest["spec"]["nosuch"]
    k("create", "-f", "-", stdin=manifest)
    assert '"other" already exists' in k("create", "-f", "-", stdin=manifest, fails=True)


def test_server_side_apply(k, deployment):
    """Twice the same: created, then merged."""
    manifest = deployment("ssa")
    for _ in range(2):
        assert k("apply", "--server-side", "-f", "-", stdin=manifest) == "deployment.apps/ssa serverside-applied\n"


@pytest.mark.usefixtures("web")
def test_changes_of_a_deployment(k):
    """The verbs that people use: set env, set image, scale, annotate, label, patch, pause, resume, restart."""
    k("set", "env", "deployment/web", "LOG_LEVEL=debug")
    k("set", "image", "deployment/web", "web=lab/web:2.0")
    k("scale", "deployment/web", "--replicas=4")
    k("annotate", "deployment/web", "kubernetes.io/change-cause=because")
    k("label", "deployment/web", "tier=front")
    k("rollout", "restart", "deployment/web")
    k("rollout", "pause", "deployment/web")
    container = _spec(k)["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("lab/web:2.0", [{"name": "LOG_LEVEL", "value": "debug"}])
    assert (_spec(k)["replicas"], _spec(k)["paused"]) == (4, True)
    k("rollout", "resume", "deployment/web")
    assert "paused" not in _spec(k)
    assert "kubectl.kubernetes.io/restartedAt" in _spec(k)["template"]["metadata"]["annotations"]
    patched = k("patch", "deployment", "web", "-p", '{"spec":{"replicas":4}}')
    assert patched == "deployment.apps/web patched (no change)\n"
    refused = k("scale", "deployment/web", "--replicas=2", "--current-replicas=9", fails=True)
    assert "Expected replicas to be 9, was 4" in refused


@pytest.mark.usefixtures("web")
def test_rollout_status_waits_and_ends(k, http, namespace):
    """It lists and watches until the Deployment says it is complete."""
    timed_out = k("rollout", "status", "deployment/web", "--timeout=1s", fails=True)
    assert "timed out waiting for the condition" in timed_out
    _complete(http, namespace)
    assert "successfully rolled out" in k("rollout", "status", "deployment/web", "--timeout=20s")
    assert "condition met" in k("wait", "--for=condition=available", "deployment/web", "--timeout=20s")


@pytest.mark.usefixtures("web")
def test_undo_and_history_read_replicasets(k, http, namespace):
    """Undo finds the previous revision's ReplicaSet and restores its template."""
    deployed = json.loads(k("get", "deployment", "web", "-o", "json"))
    for revision, image in ((1, "lab/web:0.9"), (2, "lab/web:1.0")):
        template = json.loads(json.dumps(deployed["spec"]["template"]))
        template["metadata"]["labels"]["pod-template-hash"] = str(revision)
        template["spec"]["containers"][0]["image"] = image
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True,
                 "uid": deployed["metadata"]["uid"]}  # fmt: skip
        labels = template["metadata"]["labels"]
        body = {
            "metadata": {"name": f"web-{revision}", "labels": labels, "ownerReferences": [owner],
                         "annotations": {"deployment.kubernetes.io/revision": str(revision)}},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        }  # fmt: skip
        http.post(f"/apis/apps/v1/namespaces/{namespace}/replicasets", json=body).raise_for_status()
    k("annotate", "deployment/web", "deployment.kubernetes.io/revision=2")
    assert re.search(r"1 +<none>\n2 +<none>", k("rollout", "history", "deployment/web"))
    assert "rolled back" in k("rollout", "undo", "deployment/web")
    assert _spec(k)["template"]["spec"]["containers"][0]["image"] == "lab/web:0.9"


@pytest.mark.usefixtures("web")
def test_get_and_describe(k, http, namespace, pod):
    """Tables, wide tables, YAML, names, describe."""
    made = http.post(f"/api/v1/namespaces/{namespace}/pods", json=pod()).json()
    about = {"kind": "Pod", "name": "one", "namespace": namespace, "uid": made["metadata"]["uid"]}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Because", "message": "of that",
             "type": "Normal"}  # fmt: skip
    http.post(f"/api/v1/namespaces/{namespace}/events", json=event).raise_for_status()
    assert re.search(r"NAME +READY +STATUS +RESTARTS +AGE\none +0/1 +Pending +0 +\d+s", k("get", "pods"))
    assert re.search(r"NODE.*\none .*lab-node", k("get", "pods", "-o", "wide"))
    assert "apiVersion: v1\nkind: Pod" in k("get", "pod", "one", "-o", "yaml")
    assert k("get", "pods", "-o", "name") == "pod/one\n"
    assert k("get", "pods", "-l", "app=none", "-o", "name") == ""
    assert re.search(r"pod/one .*\n\nNAME.*\ndeployment.apps/web +0/3", k("get", "all"))
    assert re.search(r"Normal +Because +pod/one +of that", k("get", "events", "--sort-by=.lastTimestamp"))
    assert re.search(r"Node: +lab-node/\n", k("describe", "pod", "one"))
    assert re.search(r"Because .*of that", k("describe", "pod", "one"))
    assert re.search(r"RollingUpdateStrategy: +25% max unavailable, 25% max surge", k("describe", "deployment", "web"))
    assert re.search(r"Replicas: +3 desired", k("describe", "deployment", "web"))


def test_delete_waits_until_the_pod_is_gone(k, http, namespace, pod):
    """A pod on a node lingers; force and grace 0 remove it."""
    http.post(f"/api/v1/namespaces/{namespace}/pods", json=pod())
    k("delete", "pod", "one", "--wait=false")
    assert re.search(r"one +0/1 +Terminating", k("get", "pods"))
    k("delete", "pod", "one", "--grace-period=0", "--force")
    assert "not found" in k("delete", "pod", "one", fails=True)
    assert k("delete", "pod", "one", "--ignore-not-found") == ""


def test_errors_reach_the_user(k, web):
    """The words of 404 and 422 as kubectl prints them."""
    missing = k("get", "deployment", "missing", fails=True)
    assert missing == 'Error from server (NotFound): deployments.apps "missing" not found\n'
    path = '[{"op":"remove","path":"/spec/nosuch"}]'
    refused = k("patch", "deployment", "web", "--type=json", "-p", path, fails=True)
    assert refused == "The request is invalid: the server rejected our request due to an error in our request\n"
    selector = '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'
    assert "field is immutable" in k("patch", "deployment", "web", "-p", selector, fails=True)


def test_cordon(kubectl, http):
    """A node is cordoned by a strategic patch and shows it."""
    http.post("/api/v1/nodes", json={"metadata": {"name": "spare"}}).raise_for_status()
    kubectl("cordon", "spare")
    assert re.search(r"spare +Unknown,SchedulingDisabled", kubectl("get", "nodes"))
    kubectl("uncordon", "spare")
    assert "SchedulingDisabled" not in kubectl("get", "nodes")
    kubectl("delete", "node", "spare")
