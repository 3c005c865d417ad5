"""Server-side apply: every field has owners, and what they disagree on is a conflict."""

from __future__ import annotations

import json

import httpx
import pytest

from lab.api import fieldsets
from lab.api.shapes import struct

APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def path(namespace) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/web"


@pytest.fixture
def apply(http, path):
    """Apply a manifest as a manager; answers the response."""

    def send(body: dict, manager: str = "one", *, force: bool = False) -> httpx.Response:
        query = {"fieldManager": manager, "force": str(force).lower()}
        content = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", **body})
        return http.patch(path, params=query, content=content, headers=APPLY)

    return send


def _managers(body: dict) -> list[tuple[str, str]]:
    return [(one["manager"], one["operation"]) for one in body["metadata"]["managedFields"]]


def test_what_two_managers_want_differently_is_a_conflict(apply, deployment):
    """One sentence for one field; --force-conflicts takes it away from the other."""
    assert apply(deployment("web")).status_code == 201
    other = {"metadata": {"name": "web"}, "spec": {"replicas": 5}}
    refused = apply(other, "two")
    status = refused.json()
    assert (refused.status_code, status["reason"]) == (409, "Conflict")
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.replicas"}
    assert status["details"]["causes"] == [cause]
    forced = apply(other, "two", force=True).json()
    assert forced["spec"]["replicas"] == 5
    back = apply(deployment("web")).json()["message"]
    assert back == 'Apply failed with 1 conflict: conflict with "two": .spec.replicas'


def test_plain_writers_own_what_they_changed(apply, deployment, http, path):
    """Such are kubectl set, scale and edit; the message says which version they used."""
    apply(deployment("web"))
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "lab/web:2.0"}]
    headers = {"Content-Type": "application/json-patch+json", "User-Agent": "editor/1.0"}
    http.patch(path, content=json.dumps(image), headers=headers).raise_for_status()
    scale = http.patch(f"{path}/scale?fieldManager=hpa", content=b'{"spec":{"replicas":7}}', headers=MERGE)
    scale.raise_for_status()
    message = apply(deployment("web")).json()["message"]
    assert message.splitlines() == [
        'Apply failed with 2 conflicts: conflicts with "editor" using apps/v1:',
        '- .spec.template.spec.containers[name="web"].image',
        'conflicts with "hpa" with subresource "scale" using apps/v1:',
        "- .spec.replicas",
    ]
    body = deployment("web", replicas=7, image="lab/web:2.0")
    assert apply(body).status_code == 200, "agreeing is no conflict"


def test_what_a_manager_no_longer_applies_goes_unless_others_want_it(apply, deployment, http, path):
    """Labels, env and probes of its own go; what another applied, wrote or shares stays."""
    full = deployment("web", env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    full["metadata"]["labels"] = {"mine": "x", "shared": "y"}
    full["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = {"tcpSocket": {"port": 80}}
    apply(full).raise_for_status()
    apply({"metadata": {"name": "web", "labels": {"shared": "y", "theirs": "z"}}}, "two").raise_for_status()
    http.patch(path, content=b'{"metadata":{"annotations":{"note":"kept"}}}', headers=MERGE).raise_for_status()
    less = deployment("web", env=[{"name": "B", "value": "2"}])
    less["metadata"].pop("labels")
    after = apply(less).json()
    assert after["metadata"]["labels"] == {"shared": "y", "theirs": "z"}
    assert after["metadata"]["annotations"] == {"note": "kept"}
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "B", "value": "2"}]
    assert "livenessProbe" not in container
    assert container["terminationMessagePolicy"] == "File", "defaults come back"


def test_applying_the_same_again_changes_nothing(apply, deployment):
    """Neither the resourceVersion nor the time at which a set of fields changed."""
    first = apply(deployment("web")).json()
    assert apply(deployment("web")).json() == first
    assert _managers(first) == [("one", "Apply")]


def test_owners_survive_a_restart(run_api, tmp_path, deployment):
    """They are part of the object, not of the server's memory."""
    path = "/apis/apps/v1/namespaces/default/deployments/web"
    body = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", **deployment("web")})
    less = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}})
    with run_api(tmp_path) as first:
        first.http.patch(f"{path}?fieldManager=one", content=body, headers=APPLY).raise_for_status()
        first.stop()
    with run_api(tmp_path) as second:
        other = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 9}})
        assert second.http.patch(f"{path}?fieldManager=two", content=other, headers=APPLY).status_code == 409
        gone = second.http.patch(f"{path}?fieldManager=one", content=less, headers=APPLY)
        assert gone.status_code == 422, "its own spec goes with what it no longer applies"


def test_what_busy_kinds_hold_is_not_followed(http, namespace, pod):
    """A pod's writers are counted only once somebody has applied it."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    made = http.post(pods, json=pod("one")).json()
    assert "managedFields" not in made["metadata"]
    labels = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "labels": {"a": "b"}}})
    http.patch(f"{pods}/one?fieldManager=m", content=labels, headers=APPLY).raise_for_status()
    changed = http.patch(f"{pods}/one", content=b'{"metadata":{"labels":{"a":"c"}}}', headers=MERGE).json()
    assert _managers(changed) == [("python-httpx", "Update")]


@pytest.mark.parametrize("managed", [5, [5], [{}], [{"manager": "x", "operation": "Apply", "fieldsV1": {"odd": {}}}]])
def test_managed_fields_that_are_none_are_no_500(http, namespace, managed):
    """What was held before counts, or the body is refused."""
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    held = http.post(maps, json={"metadata": {"name": "a"}, "data": {"k": "v"}}).json()
    body = {"metadata": {"name": "a", "managedFields": managed}, "data": {"k": "v"}}
    answer = http.put(f"{maps}/a", json=body)
    assert answer.status_code == 400 or answer.json()["metadata"] == held["metadata"]


def test_a_set_of_fields_is_what_its_encoding_says():
    """FieldsV1 there and back, with items of lists and members of sets."""
    body = {
        "metadata": {"finalizers": ["a/b"]},
        "spec": {"template": {"spec": {"containers": [{"name": "x", "image": "y"}]}}},
    }
    paths = set(fieldsets.fields(body, struct("Deployment"), status=False))
    encoded = fieldsets.encode(paths)
    item = encoded["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"x"}']
    assert item == {".": {}, "f:name": {}, "f:image": {}}
    assert encoded["f:metadata"]["f:finalizers"] == {'v:"a/b"': {}}
    assert fieldsets.decode(encoded) == paths


def test_kubectl_moves_from_client_side_to_server_side_apply(kubectl, namespace, deployment):
    """Its first server-side apply migrates what it owned; afterwards the two commands of the field work."""
    body = deployment("web")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=body)
    assert "serverside-applied" in kubectl("apply", "-n", namespace, "--server-side", "-f", "-", stdin=body)
    shown = json.loads(kubectl("get", "-n", namespace, "deploy/web", "-o", "json", "--show-managed-fields"))
    assert ("kubectl-client-side-apply", "Update") not in _managers(shown)
    assert ("kubectl", "Apply") in _managers(shown)
    kubectl("set", "image", "-n", namespace, "deployment/web", "web=lab/web:2.0")
    refused = kubectl("apply", "-n", namespace, "--server-side", "-f", "-", stdin=body, fails=True)
    assert 'conflict with "kubectl-set" using apps/v1: .spec.template.spec.containers[name="web"].image' in refused
    kubectl("apply", "-n", namespace, "--server-side", "--force-conflicts", "-f", "-", stdin=body)
    assert "lab/web:1.0" in kubectl("get", "-n", namespace, "deploy/web", "-o", "wide")
