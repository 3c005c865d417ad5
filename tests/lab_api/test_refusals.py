"""What the server refuses, and in which words: clients and people match on them."""

from __future__ import annotations

import httpx
import pytest

MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


@pytest.fixture
def deployments(namespace):
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def test_nothing_without_the_token(api_server):
    """No token or a wrong one is 401; health and version are open to all who show none."""
    with api_server.client({}) as stranger:
        answer = stranger.get("/api/v1/pods")
        assert (answer.status_code, answer.json()["message"]) == (401, "Unauthorized")
        wrong = {"Authorization": "Bearer wrong"}
        assert stranger.get("/api/v1/pods", headers=wrong).status_code == 401
        assert stranger.get("/version", headers=wrong).status_code == 401
        assert stranger.get("/readyz").text == "ok"
        assert stranger.get("/version").json()["major"] == "1"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/nosuch", 404, "404 page not found"),
        ("/apis/nosuch.group/v1/things", 404, "404 page not found"),
        ("/apis/nosuch.group/v1", 404, "404 page not found"),
        ("/api/v1/namespaces/default/nosuchs", 404, "the server could not find the requested resource"),
        ("/api/v1/namespaces/default/pods/missing", 404, 'pods "missing" not found'),
        ("/apis/apps/v1/namespaces/x/deployments/missing", 404, 'deployments.apps "missing" not found'),
        ("/api/v1/pods?limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("/api/v1/pods?resourceVersion=x", 400, "invalid resource version"),
        ("/api/v1/pods?labelSelector=a b c", 400, "unable to parse requirement: found 'b'"),
        ("/api/v1/pods?fieldSelector=spec.foo%3Dbar", 400, "field label not supported: spec.foo"),
        ("/apis/apps/v1/deployments?fieldSelector=spec.foo%3Dbar", 400, '"spec.foo" is not a known field selector'),
        ("/api/v1/pods?continue=nonsense", 400, "continue key is not valid"),
    ],
)
def test_reads(http, path, code, message):
    """Unknown paths are plain text, unknown resources and objects a Status, bad queries 400."""
    answer = http.get(path)
    assert answer.status_code == code
    assert message in answer.text.replace('\\"', '"')
    assert (answer.headers["Content-Type"] == "application/json") is ("page not found" not in message)


def test_a_status_names_what_it_is_about(http):
    """Its details carry name, group and plural for 404."""
    body = http.get("/apis/apps/v1/namespaces/x/deployments/missing").json()
    assert body["details"] == {"name": "missing", "group": "apps", "kind": "deployments"}
    assert (body["kind"], body["status"], body["reason"], body["code"]) == ("Status", "Failure", "NotFound", 404)


def test_media_types_that_are_not_served(http, deployments, deployment):
    """415 for bodies, with the list for objects; 406 for answers; 405 for methods."""
    http.post(deployments, json=deployment())
    protobuf = http.post(
        deployments, content=b"k8s\0", headers={"Content-Type": "application/vnd.kubernetes.protobuf-x"}
    )
    assert (protobuf.status_code, protobuf.json()["reason"]) == (415, "UnsupportedMediaType")
    assert "accepted media types include: application/json, application/yaml" in protobuf.json()["message"]
    assert http.patch(f"{deployments}/web", json={}).json()["message"] == "415: Unsupported Media Type"
    assert http.get(f"{deployments}/web", headers={"Accept": "text/html"}).status_code == 406
    assert http.post(f"{deployments}/web", json={}).status_code == 405
    assert http.post("/api/v1/pods", json={}).status_code == 405


def _message(answer: httpx.Response) -> str:
    assert answer.status_code == 422
    return answer.json()["message"]


def test_names_and_required_fields(http, deployments):
    """All broken rules are reported at once, with their paths."""
    answer = http.post(deployments, json={"metadata": {"name": "Bad_Name"}, "spec": {}})
    message = _message(answer)
    assert message.startswith('Deployment.apps "Bad_Name" is invalid: [metadata.name: Invalid value: "Bad_Name": a low')
    assert "spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: `sel" in message
    assert message.endswith("spec.template.spec.containers: Required value]")
    assert answer.json()["details"]["kind"] == "Deployment"
    assert {cause["field"] for cause in answer.json()["details"]["causes"]} == {
        "metadata.name",
        "spec.selector",
        "spec.template.metadata.labels",
        "spec.template.spec.containers",
    }


def test_a_selector_must_match_and_may_not_change(http, deployments, deployment):
    """The two rules of a Deployment that people meet."""
    http.post(deployments, json=deployment())
    other = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}
    message = _message(http.patch(f"{deployments}/web", json=other, headers=STRATEGIC))
    assert message == (
        'Deployment.apps "web" is invalid: [spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector`'
        ' does not match template `labels`, spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is'
        " immutable]"
    )


def test_numbers_and_quantities(http, deployments, deployment):
    """Replicas below zero, requests over limits, and values of a wrong type."""
    resources = {"requests": {"memory": "16Mi"}}
    http.post(deployments, json=deployment(resources=resources))
    path = f"{deployments}/web"
    below = http.patch(path, json={"spec": {"replicas": -1}}, headers=MERGE)
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in _message(below)

    def limit(memory):
        container = {"name": "web", "resources": {"limits": {"memory": memory}}}
        sent = {"spec": {"template": {"spec": {"containers": [container]}}}}
        return _message(http.patch(path, json=sent, headers=STRATEGIC))

    assert limit("8Mi").endswith('resources.requests: Invalid value: "16Mi": must be less than or equal to memory '
                                 "limit of 8Mi")  # fmt: skip
    assert "quantities must match the regular expression" in limit("lots")
    three = http.patch(path, json={"spec": {"replicas": "three"}}, headers=STRATEGIC)
    assert _message(three) == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[replicas:three]]": unrecognized type: int32'
    )
    typed = http.post(deployments, json=deployment("typed", replicas="three"))
    assert typed.status_code == 400
    assert "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32" in typed.text


def test_json_that_is_none(http, deployments, deployment):
    """400 for a body or a patch that cannot be read, or is of another kind."""
    http.post(deployments, json=deployment())
    json_type = {"Content-Type": "application/json"}
    assert http.post(deployments, content=b"{bad", headers=json_type).status_code == 400
    assert http.post(deployments, content=b"[]", headers=json_type).status_code == 400
    assert http.patch(f"{deployments}/web", content=b"not json", headers=STRATEGIC).status_code == 400
    assert http.patch(f"{deployments}/web", json=[], headers=MERGE).status_code == 400
    assert http.post(deployments, json={"apiVersion": "v1", "kind": "Pod"}).status_code == 400


def test_namespaces_that_are_not_there(http, deployment):
    """A create in a missing namespace is 404; a list of one is empty."""
    answer = http.post("/apis/apps/v1/namespaces/nosuchns/deployments", json=deployment())
    assert (answer.status_code, answer.json()["message"]) == (404, 'namespaces "nosuchns" not found')
    assert http.get("/api/v1/namespaces/nosuchns/pods").json()["items"] == []


def test_a_name_is_taken_once(http, deployments, deployment):
    """409 AlreadyExists."""
    http.post(deployments, json=deployment())
    answer = http.post(deployments, json=deployment())
    assert (answer.status_code, answer.json()["reason"]) == (409, "AlreadyExists")
    assert answer.json()["message"] == 'deployments.apps "web" already exists'


def test_a_pod_spec_is_fixed(http, namespace, pod):
    """Only images and tolerations of a pod may change."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    http.post(path, json=pod())
    image = {"spec": {"containers": [{"name": "main", "image": "other"}]}}
    assert http.patch(f"{path}/one", json=image, headers=STRATEGIC).status_code == 200
    answer = http.patch(f"{path}/one", json={"spec": {"restartPolicy": "Never"}}, headers=STRATEGIC)
    assert "pod updates may not change fields other than" in _message(answer)


@pytest.mark.parametrize(
    "garbage",
    [
        {"metadata": []},
        {"metadata": {"name": 5}},
        {"metadata": {"name": "a", "labels": {"x": 1}}},
        {"metadata": {"name": "a", "ownerReferences": [{}]}},
        {"metadata": {"name": "a", "labels": {"x": "not a label!"}}},
        {"metadata": {"name": "a"}, "spec": []},
        {"metadata": {"name": "a"}, "spec": {"containers": [{}]}},
        {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "x", "image": "y", "livenessProbe": {}}]}},
        {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "x", "volumeMounts": [{"name": "v"}]}]}},
        {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "x", "ports": [{"containerPort": 99999}]}]}},
        {"metadata": {"name": "a"}, "spec": None},
        {"metadata": None},
        {},
    ],
)
def test_a_clients_mistake_is_never_a_500(http, namespace, garbage):
    """Nonsense is answered with a 4xx that says what is wrong."""
    answer = http.post(f"/api/v1/namespaces/{namespace}/pods", json=garbage)
    assert 400 <= answer.status_code < 500
    assert answer.json()["message"]
