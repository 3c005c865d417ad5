"""The official Python client as the judge, in a process of its own: it is slow to import and keeps global state."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def script(api_server, namespace):
    """Run Python with the client loaded as ``client``, a namespace ``ns`` and an ``error(call)`` helper."""
    head = """
        import sys
        from kubernetes import client, config, watch
        config.load_kube_config(sys.argv[1])
        ns, core, apps = sys.argv[2], client.CoreV1Api(), client.AppsV1Api()
        def error(call, *args, **kwargs):
            try:
                call(*args, **kwargs)
            except client.ApiException as problem:
                return problem
            raise AssertionError("no error")
        labels = {"app": "d"}
        container = client.V1Container(name="c", image="lab/web:1.0")
        template = client.V1PodTemplateSpec(
            metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container]))
        spec = client.V1DeploymentSpec(
            replicas=2, selector=client.V1LabelSelector(match_labels=labels), template=template)
        body = client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec)
    """

    def run(text: str) -> None:
        program = textwrap.dedent(head) + textwrap.dedent(text)
        argv = [sys.executable, "-c", program, str(api_server.kubeconfig), namespace]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(api_server.state),
            "KUBECONFIG": str(api_server.kubeconfig),
        }
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_deployments(script):
    """Create, read, patch (dict strategic, list JSON patch), scale, replace, delete; each answer fits its model."""
    script("""
        made = apps.create_namespaced_deployment(ns, body)
        assert made.spec.strategy.rolling_update.max_surge == "25%"
        assert apps.patch_namespaced_deployment("d", ns, {"spec": {"replicas": 3}}).spec.replicas == 3
        operation = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
        assert apps.patch_namespaced_deployment("d", ns, operation).spec.replicas == 4
        scale = apps.patch_namespaced_deployment_scale("d", ns, {"spec": {"replicas": 1}})
        assert (scale.kind, scale.spec.replicas) == ("Scale", 1)
        read = apps.read_namespaced_deployment("d", ns)
        read.spec.replicas = 5
        assert apps.replace_namespaced_deployment("d", ns, read).spec.replicas == 5
        stale = error(apps.replace_namespaced_deployment, "d", ns, read)
        assert (stale.status, stale.reason) == (409, "Conflict"), (stale.status, stale.reason)
        assert apps.list_deployment_for_all_namespaces(label_selector="app=none").items == []
        deleted = apps.delete_namespaced_deployment("d", ns, propagation_policy="Foreground")
        assert apps.read_namespaced_deployment("d", ns).metadata.finalizers == ["foregroundDeletion"]
        assert error(apps.read_namespaced_deployment, "missing", ns).status == 404
    """)


def test_pods_and_watches(script):
    """Pods are created, listed in pages, watched, evicted; an expired watch is an ApiException 410."""
    script("""
        pod = client.V1Pod(metadata=client.V1ObjectMeta(name="p", labels=labels),
                           spec=client.V1PodSpec(containers=[container], node_name="lab-node"))
        core.create_namespaced_pod(ns, pod)
        own = core.list_pod_for_all_namespaces(limit=1, field_selector=f"metadata.namespace={ns}").items
        assert [one.status.phase for one in own] == ["Pending"], own
        seen = [(event["type"], event["object"].metadata.name) for event in watch.Watch().stream(
            core.list_namespaced_pod, ns, timeout_seconds=1)]
        assert seen == [("ADDED", "p")], seen
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="p", namespace=ns))
        core.create_namespaced_pod_eviction("p", ns, eviction)
        assert core.read_namespaced_pod("p", ns).metadata.deletion_timestamp
        core.delete_namespaced_pod("p", ns, grace_period_seconds=0)
        assert error(core.read_namespaced_pod, "p", ns).status == 404
        stream = watch.Watch().stream(core.list_namespaced_pod, ns, resource_version="1", timeout_seconds=2)
        assert error(lambda: list(stream)).status == 410
    """)


def test_chaostoolkit_kubernetes(script, http, namespace, pod):
    """chaosk8s terminates a pod by its label, and scales a deployment."""
    http.post(f"/api/v1/namespaces/{namespace}/pods", json=pod("victim"))
    http.post(f"/api/v1/namespaces/{namespace}/pods", json=pod("bystander"))
    script("""
        from chaosk8s.deployment.actions import scale_deployment
        from chaosk8s.pod.actions import terminate_pods
        from chaosk8s.pod.probes import count_pods
        assert terminate_pods(label_selector="app=victim", ns=ns, qty=1) == ["victim"]
        assert count_pods("app=bystander", ns=ns) == 1
        apps.create_namespaced_deployment(ns, body)
        scale_deployment("d", 7, ns=ns)
        assert apps.read_namespaced_deployment("d", ns).spec.replicas == 7
    """)
    marked = http.get(f"/api/v1/namespaces/{namespace}/pods/victim").json()
    assert marked["metadata"]["deletionTimestamp"]
    spared = http.get(f"/api/v1/namespaces/{namespace}/pods/bystander").json()
    assert "deletionTimestamp" not in spared["metadata"]
