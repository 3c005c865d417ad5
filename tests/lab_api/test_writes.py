"""Create, update and patch over HTTP: what the server fills in, what it refuses, what it leaves alone."""

from __future__ import annotations

import pytest

STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}


@pytest.fixture
def deployments(namespace):
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def test_a_deployment_is_filled_in(http, deployments, deployment):
    """Defaults, identity and generation come from the server; status is empty."""
    probe = {"httpGet": {"port": "http"}}
    body = http.post(deployments, json=deployment(readinessProbe=probe, ports=[{"containerPort": 80}])).json()
    spec, container = body["spec"], body["spec"]["template"]["spec"]["containers"][0]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert container["readinessProbe"] == {
        "httpGet": {"port": "http", "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert (body["metadata"]["generation"], body["status"]) == (1, {})
    assert body["metadata"]["uid"]
    assert body["metadata"]["creationTimestamp"]


def test_a_pod_begins_pending(http, namespace, pod):
    """A client cannot choose a pod's status; requests default to limits."""
    sent = pod(containers=[{"name": "main", "image": "x", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}])
    sent["status"] = {"phase": "Running"}
    body = http.post(f"/api/v1/namespaces/{namespace}/pods", json=sent).json()
    assert body["status"] == {"phase": "Pending", "qosClass": "Guaranteed"}
    assert body["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert body["spec"]["containers"][0]["imagePullPolicy"] == "Always"


def test_names_are_generated(http, namespace):
    """A generateName gives a fresh name each time."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    names = {http.post(path, json={"metadata": {"generateName": "cm-"}}).json()["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("cm-") and len(name) == 8 for name in names)


def test_generation_follows_the_spec_only(http, deployments, deployment):
    """Labels and status leave the generation; a change of the spec raises it by one."""
    http.post(deployments, json=deployment())
    path = f"{deployments}/web"
    labelled = http.patch(path, json={"metadata": {"labels": {"x": "y"}}}, headers=MERGE).json()
    assert labelled["metadata"]["generation"] == 1
    observed = http.patch(f"{path}/status", json={"status": {"observedGeneration": 1}}, headers=MERGE).json()
    assert (observed["metadata"]["generation"], observed["status"]) == (1, {"observedGeneration": 1})
    scaled = http.patch(path, json={"spec": {"replicas": 5}}, headers=STRATEGIC).json()
    assert scaled["metadata"]["generation"] == 2
    assert scaled["status"] == {"observedGeneration": 1}


def test_status_and_spec_are_written_apart(http, deployments, deployment):
    """A write of the object does not touch status, a write of status does not touch the object."""
    body = http.post(deployments, json=deployment()).json()
    path = f"{deployments}/web"
    body["status"] = {"replicas": 3}
    assert http.put(path, json=body).json()["status"] == {}
    body = http.get(path).json()
    body["spec"]["replicas"], body["status"] = 9, {"replicas": 3, "readyReplicas": 0}
    body["metadata"]["labels"] = {"changed": "too"}
    written = http.put(f"{path}/status", json=body).json()
    assert (written["spec"]["replicas"], written["status"]) == (3, {"replicas": 3})
    assert written["metadata"]["labels"] == {"app": "web"}


def test_what_changes_nothing_keeps_the_version(http, deployments, deployment):
    """A no-op patch or put makes no event."""
    http.post(deployments, json=deployment())
    path = f"{deployments}/web"
    version = http.get(path).json()["metadata"]["resourceVersion"]
    same = http.patch(path, json={"spec": {"replicas": 3}}, headers=STRATEGIC).json()
    assert same["metadata"]["resourceVersion"] == version
    assert http.put(path, json=same).json()["metadata"]["resourceVersion"] == version


def test_a_stale_version_is_a_conflict(http, deployments, deployment):
    """Optimistic locking: the second of two writers from the same version is told to read again."""
    first = http.post(deployments, json=deployment()).json()
    http.patch(f"{deployments}/web", json={"spec": {"replicas": 4}}, headers=MERGE)
    answer = http.put(f"{deployments}/web", json=first)
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")
    assert answer.json()["message"] == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your'
        " changes to the latest version and try again"
    )
    assert answer.json()["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


def test_dry_run_changes_nothing(http, deployments, deployment):
    """dryRun=All answers as if it were done."""
    assert http.post(deployments, params={"dryRun": "All"}, json=deployment()).status_code == 201
    assert http.get(f"{deployments}/web").status_code == 404
    http.post(deployments, json=deployment())
    params = {"dryRun": "All"}
    tried = http.patch(f"{deployments}/web", params=params, json={"spec": {"replicas": 9}}, headers=MERGE).json()
    assert (tried["spec"]["replicas"], http.get(f"{deployments}/web").json()["spec"]["replicas"]) == (9, 3)
    http.request("DELETE", f"{deployments}/web", params=params)
    assert http.get(f"{deployments}/web").status_code == 200


def test_scale_is_a_face_of_the_workload(http, deployments, deployment):
    """Reading and patching Scale reads and writes spec.replicas, and raises the generation."""
    http.post(deployments, json=deployment())
    path = f"{deployments}/web/scale"
    scale = http.get(path).json()
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 3},
        {"replicas": 0, "selector": "app=web"},
    )
    assert http.patch(path, json={"spec": {"replicas": 2}}, headers=MERGE).json()["spec"] == {"replicas": 2}
    assert http.get(f"{deployments}/web").json()["metadata"]["generation"] == 2
    assert http.patch(path, json={"spec": {"replicas": -1}}, headers=MERGE).status_code == 422
    stale = {**scale, "spec": {"replicas": 7}}
    assert http.put(path, json=stale).status_code == 409


def test_apply_creates_and_then_merges(http, deployments, deployment):
    """Server-side apply: 201, then 200; what the manager drops goes, what another wrote stays."""
    path, params = f"{deployments}/web", {"fieldManager": "me"}
    sent = deployment(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    assert http.patch(path, params=params, json=sent, headers=APPLY).status_code == 201
    http.patch(path, json={"metadata": {"annotations": {"other": "kept"}}}, headers=MERGE)
    sent = deployment(env=[{"name": "B", "value": "3"}])
    applied = http.patch(path, params=params, json=sent, headers=APPLY)
    assert applied.status_code == 200
    assert applied.json()["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "3"}]
    assert applied.json()["metadata"]["annotations"] == {"other": "kept"}
    assert http.patch(path, json=sent, headers=APPLY).status_code == 422


def test_unknown_fields_warn_or_fail(http, deployments, deployment):
    """By default a Warning header, with Strict a 400; the field is not stored."""
    sent = deployment()
    sent["spec"]["nosuch"] = 1
    created = http.post(deployments, json=sent)
    assert created.headers["Warning"] == '299 - "unknown field \\"spec.nosuch\\""'
    assert "nosuch" not in created.json()["spec"]
    sent["metadata"]["name"] = "other"
    strict = http.post(deployments, params={"fieldValidation": "Strict"}, json=sent)
    assert strict.status_code == 400
    assert 'strict decoding error: unknown field "spec.nosuch"' in strict.json()["message"]


def test_a_secret_is_encoded(http, namespace):
    """What is sent as stringData ends up in data, in base64."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    body = http.post(path, json={"metadata": {"name": "s"}, "stringData": {"k": "v"}}).json()
    assert (body["data"], body["type"], "stringData" in body) == ({"k": "dg=="}, "Opaque", False)


def test_a_service_keeps_its_address(http, namespace):
    """A Service is given an address of its own, which a replace without it does not lose."""
    path = f"/api/v1/namespaces/{namespace}/services"
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}
    first = http.post(path, json={"metadata": {"name": "a"}, "spec": spec}).json()
    second = http.post(path, json={"metadata": {"name": "b"}, "spec": spec}).json()
    assert first["spec"]["clusterIP"] != second["spec"]["clusterIP"]
    assert first["spec"]["ports"] == [{"port": 80, "targetPort": "http", "protocol": "TCP"}]
    replaced = http.put(f"{path}/a", json={"metadata": {"name": "a"}, "spec": spec}).json()
    assert replaced["spec"]["clusterIP"] == first["spec"]["clusterIP"]


def test_events_have_two_faces(http, namespace):
    """An Event created in core v1 is read in events.k8s.io/v1 and the other way round."""
    core = f"/api/v1/namespaces/{namespace}/events"
    new = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    about = {"kind": "Pod", "name": "p", "namespace": namespace}
    sent = {"metadata": {"name": "e"}, "involvedObject": about, "message": "hello", "reason": "Why", "type": "Normal"}
    assert http.post(core, json=sent).status_code == 201
    face = http.get(f"{new}/e").json()
    assert (face["regarding"], face["note"], face["apiVersion"]) == (about, "hello", "events.k8s.io/v1")
    selected = http.get(new, params={"fieldSelector": "regarding.kind=Pod"}).json()
    assert [item["metadata"]["name"] for item in selected["items"]] == ["e"]
    back = {"metadata": {"name": "f"}, "regarding": about, "note": "again", "eventTime": "2026-01-01T00:00:00.000000Z"}
    assert http.post(new, json=back).status_code == 201
    assert http.get(f"{core}/f").json()["message"] == "again"


def test_binding_assigns_a_node_once(http, namespace, pod):
    """A scheduler's binding sets the node and says that the pod is scheduled."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    sent = pod()
    del sent["spec"]["nodeName"]
    http.post(path, json=sent)
    binding = {"target": {"kind": "Node", "name": "lab-node"}}
    assert http.post(f"{path}/one/binding", json=binding).status_code == 201
    body = http.get(f"{path}/one").json()
    assert body["spec"]["nodeName"] == "lab-node"
    assert [(one["type"], one["status"]) for one in body["status"]["conditions"]] == [("PodScheduled", "True")]
    assert http.post(f"{path}/one/binding", json=binding).status_code == 409


def test_bodies_without_a_content_type_are_json(http, namespace):
    """The official Python client names no type on POST; YAML is understood where it is named."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert http.post(path, content=b'{"metadata": {"name": "a"}}').status_code == 201
    yaml = {"Content-Type": "application/yaml"}
    assert http.post(path, content=b"metadata: {name: b}", headers=yaml).status_code == 201
    read = http.get(f"{path}/b", headers={"Accept": "application/yaml"})
    assert read.headers["Content-Type"] == "application/yaml"
    assert read.text.startswith("apiVersion: v1\nkind: ConfigMap\n")
