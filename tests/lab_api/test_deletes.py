"""Deleting: grace, finalizers, propagation, collections, namespaces."""

from __future__ import annotations

import time

import pytest

MERGE = {"Content-Type": "application/merge-patch+json"}


def _await_gone(http, path, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while (answer := http.get(path)).status_code != 404:
        assert time.monotonic() < deadline, f"{path} is still there: {answer.text}"
        time.sleep(0.02)


@pytest.fixture
def pods(namespace):
    return f"/api/v1/namespaces/{namespace}/pods"


def test_a_pod_waits_for_its_node(http, pods, pod):
    """A pod on a node is marked with its grace; the node agent's delete with grace 0 removes it."""
    http.post(pods, json=pod(terminationGracePeriodSeconds=7))
    marked = http.delete(f"{pods}/one").json()
    assert (marked["kind"], marked["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 7)
    assert marked["metadata"]["deletionTimestamp"] > marked["metadata"]["creationTimestamp"]
    assert http.get(f"{pods}/one").status_code == 200
    again = http.delete(f"{pods}/one").json()
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    shorter = http.delete(f"{pods}/one", params={"gracePeriodSeconds": 2}).json()
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 2
    last = http.request("DELETE", f"{pods}/one", json={"gracePeriodSeconds": 0})
    assert (last.status_code, last.json()["metadata"]["deletionGracePeriodSeconds"]) == (200, 0)
    assert http.get(f"{pods}/one").status_code == 404


def test_a_pod_without_a_node_goes_at_once(http, pods, pod):
    """Nobody needs to end what was never started, or has ended."""
    body = pod()
    del body["spec"]["nodeName"]
    http.post(pods, json=body)
    http.delete(f"{pods}/one")
    assert http.get(f"{pods}/one").status_code == 404
    http.post(pods, json=pod())
    http.patch(f"{pods}/one/status", json={"status": {"phase": "Succeeded"}}, headers=MERGE)
    http.delete(f"{pods}/one")
    assert http.get(f"{pods}/one").status_code == 404


def test_eviction_deletes_with_grace(http, pods, pod):
    """An eviction is a delete: 201 and a pod that is terminating."""
    http.post(pods, json=pod())
    answer = http.post(f"{pods}/one/eviction", json={"metadata": {"name": "one"}})
    assert (answer.status_code, answer.json()["status"]) == (201, "Success")
    assert http.get(f"{pods}/one").json()["metadata"]["deletionTimestamp"]


def test_background_deletion_is_a_status(http, namespace, deployment):
    """A deployment is gone at once, and the answer says which one it was."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    uid = http.post(path, json=deployment()).json()["metadata"]["uid"]
    body = http.request("DELETE", f"{path}/web", json={"propagationPolicy": "Background"}).json()
    assert (body["kind"], body["status"]) == ("Status", "Success")
    assert body["details"] == {"name": "web", "group": "apps", "kind": "deployments", "uid": uid}
    assert http.get(f"{path}/web").status_code == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_other_policies_wait_for_the_collector(http, namespace, deployment, policy, finalizer):
    """Foreground and orphan leave a finalizer; whoever removes the last one removes the object."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    http.post(path, json=deployment())
    body = http.delete(f"{path}/web", params={"propagationPolicy": policy}).json()
    assert (body["kind"], body["metadata"]["finalizers"]) == ("Deployment", [finalizer])
    assert (body["metadata"]["deletionGracePeriodSeconds"], body["metadata"]["generation"]) == (0, 2)
    new = http.patch(f"{path}/web", json={"metadata": {"finalizers": [finalizer, "a/b"]}}, headers=MERGE)
    assert "no new finalizers can be added if the object is being deleted" in new.json()["message"]
    assert http.patch(f"{path}/web", json={"metadata": {"finalizers": None}}, headers=MERGE).status_code == 200
    assert http.get(f"{path}/web").status_code == 404


def test_preconditions(http, namespace):
    """A delete of another incarnation is a conflict."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    http.post(path, json={"metadata": {"name": "a"}})
    answer = http.request("DELETE", f"{path}/a", json={"preconditions": {"uid": "another"}})
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: another" in answer.json()["message"]


def test_a_collection_is_deleted_by_selector(http, namespace):
    """Only what the selector selects."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name, color in (("a", "red"), ("b", "red"), ("c", "blue")):
        http.post(path, json={"metadata": {"name": name, "labels": {"color": color}}})
    deleted = http.delete(path, params={"labelSelector": "color=red"}).json()
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in http.get(path).json()["items"]] == ["c"]


def test_a_namespace_goes_after_its_contents(http, namespace, pod):
    """Terminating until its pods are gone; nothing new may be created in it meanwhile."""
    home = f"/api/v1/namespaces/{namespace}"
    http.post(f"{home}/pods", json=pod())
    http.post(f"{home}/configmaps", json={"metadata": {"name": "a"}})
    body = http.delete(home).json()
    assert (body["kind"], body["status"]["phase"]) == ("Namespace", "Terminating")
    _await_gone(http, f"{home}/configmaps/a")
    assert http.get(f"{home}/pods/one").json()["metadata"]["deletionTimestamp"]
    refused = http.post(f"{home}/configmaps", json={"metadata": {"name": "z"}})
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert refused.json()["message"] == (
        f'configmaps "z" is forbidden: unable to create new content in namespace {namespace} because it is being'
        " terminated"
    )
    assert refused.json()["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    http.request("DELETE", f"{home}/pods/one", json={"gracePeriodSeconds": 0})
    _await_gone(http, home)
