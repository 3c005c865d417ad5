"""Kinds that clients bring along are served like the table's own."""

from __future__ import annotations

import copy
import json
import time
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _definition(group: str, schema: dict | None = None, **version) -> dict:
    names = {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"]}
    schema = schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [one]},
    }


STRICT = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["mode"],
            "properties": {
                "mode": {"type": "string", "enum": ["one", "all"]},
                "count": {"type": "integer", "minimum": 1, "default": 3},
                "size": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}},
    },
}


@pytest.fixture
def group() -> str:
    return f"g{uuid.uuid4().hex[:8]}.example.org"


@pytest.fixture
def strict(http, group):
    """A kind with a schema, columns and both subresources; answers the path of its objects in a namespace."""
    columns = [
        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    ]
    scale = {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.replicas"}
    body = _definition(group, STRICT, additionalPrinterColumns=columns, subresources={"status": {}, "scale": scale})
    http.post(CRDS, json=body).raise_for_status()
    return lambda namespace: f"/apis/{group}/v1/namespaces/{namespace}/widgets"


def _await_gone(http, path: str) -> None:
    deadline = time.monotonic() + 30
    while http.get(path).status_code != 404:
        assert time.monotonic() < deadline, f"{path} does not go"
        time.sleep(0.02)


def test_a_definition_is_established_and_its_kind_served_at_once(http, group, namespace):
    """The next request after the create finds the conditions, discovery, OpenAPI and the collection."""
    created = http.post(CRDS, json=_definition(group)).json()
    assert created["status"]["storedVersions"] == ["v1"]
    held = http.get(f"{CRDS}/widgets.{group}").json()["status"]
    assert [(one["type"], one["status"]) for one in held["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    assert held["acceptedNames"]["listKind"] == "WidgetList"
    entry = http.get(f"/apis/{group}/v1").json()["resources"][0]
    assert (entry["name"], entry["kind"], entry["shortNames"]) == ("widgets", "Widget", ["wd"])
    assert f"apis/{group}/v1" in http.get("/openapi/v3").json()["paths"]
    listed = http.get(f"/apis/{group}/v1/namespaces/{namespace}/widgets").json()
    assert (listed["kind"], listed["items"]) == ("WidgetList", [])


def test_deleting_a_definition_deletes_its_objects_and_its_paths(http, group, namespace):
    """Objects with finalizers hold it back; in the end its group is a plain 404."""
    http.post(CRDS, json=_definition(group)).raise_for_status()
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a", "finalizers": ["x.y/z"]}}
    http.post(path, json=body).raise_for_status()
    http.delete(f"{CRDS}/widgets.{group}").raise_for_status()
    waiting = http.get(f"{CRDS}/widgets.{group}").json()
    assert waiting["status"]["conditions"][-1]["type"] == "Terminating"
    assert http.get(f"{path}/a").json()["metadata"]["deletionTimestamp"]
    patch = {"metadata": {"finalizers": None}}
    merge = {"Content-Type": "application/merge-patch+json"}
    http.patch(f"{path}/a", content=json.dumps(patch), headers=merge).raise_for_status()
    _await_gone(http, f"{CRDS}/widgets.{group}")
    gone = http.get(path)
    assert (gone.status_code, gone.text) == (404, "404 page not found\n")


def test_objects_are_pruned_defaulted_and_typed_by_their_schema(http, strict, namespace):
    """Unknown fields go with a warning, but not below what is meant to be free; defaults come."""
    spec = {"mode": "all", "odd": 1, "free": {"any": {"thing": []}}, "labels": {"a": "b"}}
    answer = http.post(strict(namespace), json={"metadata": {"name": "a"}, "spec": spec, "status": {"phase": "x"}})
    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.odd\\""'
    held = answer.json()
    assert held["spec"] == {"mode": "all", "count": 3, "free": {"any": {"thing": []}}, "labels": {"a": "b"}}
    assert "status" not in held
    assert held["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"mode": "some"}, 'spec.mode: Unsupported value: "some": supported values: "one", "all"'),
        ({}, "spec.mode: Required value"),
        ({"mode": 5}, 'spec.mode: Invalid value: "integer": spec.mode in body must be of type string: "integer"'),
        (
            {"mode": "one", "count": 0},
            "spec.count: Invalid value: 0: spec.count in body should be greater than or equal to 1",
        ),
        (
            {"mode": "one", "size": []},
            'spec.size: Invalid value: "array": spec.size in body must be of type integer,string: "array"',
        ),
        ("no", 'spec: Invalid value: "string": spec in body must be of type object: "string"'),
    ],
)
def test_what_breaks_the_schema_is_a_422_in_a_real_servers_words(http, strict, group, namespace, spec, message):
    """Each rule names its field."""
    answer = http.post(strict(namespace), json={"metadata": {"name": "a"}, "spec": spec})
    assert answer.status_code == 422
    assert answer.json()["message"] == f'Widget.{group} "a" is invalid: {message}'


def test_status_and_scale_are_subresources(http, strict, namespace):
    """Status is written beside the spec only, and replicas through paths that the definition names."""
    path = f"{strict(namespace)}/a"
    body = http.post(strict(namespace), json={"metadata": {"name": "a"}, "spec": {"mode": "one"}}).json()
    merge = {"Content-Type": "application/merge-patch+json"}
    changed = copy.deepcopy(body)
    changed["status"], changed["spec"]["mode"] = {"phase": "Ready", "replicas": 2}, "all"
    after = http.put(f"{path}/status", json=changed).json()
    assert (after["status"]["phase"], after["spec"]["mode"], after["metadata"]["generation"]) == ("Ready", "one", 1)
    wrong = http.patch(f"{path}/status", content=b'{"status":{"phase":1}}', headers=merge)
    assert wrong.status_code == 422
    scale = http.get(f"{path}/scale").json()
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 2)
    http.patch(f"{path}/scale", content=b'{"spec":{"replicas":5}}', headers=merge).raise_for_status()
    assert http.get(path).json()["spec"]["count"] == 5
    refused = http.patch(path, content=b"{}", headers={"Content-Type": "application/strategic-merge-patch+json"})
    assert refused.status_code == 415


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec.update(scope="World"), 'spec.scope: Unsupported value: "World"'),
        (lambda spec: spec["names"].update(plural="other"), 'metadata.name: Invalid value: "widgets.'),
        (lambda spec: spec["versions"][0].update(storage=False), "must have exactly one version marked as storage"),
        (lambda spec: spec["versions"][0].pop("schema"), "schemas are required"),
        (lambda spec: spec["versions"][0]["schema"]["openAPIV3Schema"].update(properties=[1]), "must be an object"),
        (lambda spec: spec["versions"][0]["schema"]["openAPIV3Schema"].update(pattern="("), "regular expression"),
    ],
)
def test_a_malformed_definition_is_refused(http, group, change, message):
    """What could not be served is a 422, never a 500 later on."""
    body = _definition(group)
    change(body["spec"])
    answer = http.post(CRDS, json=body)
    assert (answer.status_code, message in answer.json()["message"]) == (422, True), answer.text


def test_names_that_another_kind_has_are_not_accepted(http, group):
    """A second definition of the same kind waits, and says for what."""
    http.post(CRDS, json=_definition(group)).raise_for_status()
    other = _definition(group)
    other["metadata"]["name"] = f"gadgets.{group}"
    other["spec"]["names"] = {"kind": "Widget", "plural": "gadgets"}
    http.post(CRDS, json=other).raise_for_status()
    conditions = http.get(f"{CRDS}/gadgets.{group}").json()["status"]["conditions"]
    assert (conditions[0]["reason"], conditions[0]["status"]) == ("NameConflict", "False")
    assert http.get(f"/apis/{group}/v1/gadgets").status_code == 404


def test_a_definition_whose_status_was_emptied_is_established_again(http, group):
    """Its conditions are the server's to say."""
    http.post(CRDS, json=_definition(group)).raise_for_status()
    path = f"{CRDS}/widgets.{group}"
    held = http.get(path).json()
    http.put(f"{path}/status", json={**held, "status": {}}).raise_for_status()
    conditions = http.get(path).json()["status"]["conditions"]
    assert [one["status"] for one in conditions] == ["True", "True"]


def test_versions_are_faces_of_the_same_objects(http, group, namespace):
    """What is created as one version is read as another; a version that is not served is not there."""
    body = _definition(group)
    first = body["spec"]["versions"][0]
    for name, served in (("v1beta1", True), ("v1alpha1", False)):
        body["spec"]["versions"].append({**first, "name": name, "served": served, "storage": False})
    http.post(CRDS, json=body).raise_for_status()
    path = f"namespaces/{namespace}/widgets"
    made = http.post(f"/apis/{group}/v1beta1/{path}", json={"metadata": {"name": "a"}, "spec": {"x": 1}})
    assert made.json()["apiVersion"] == f"{group}/v1beta1"
    read = http.get(f"/apis/{group}/v1/{path}/a").json()
    assert (read["apiVersion"], read["spec"]) == (f"{group}/v1", {"x": 1})
    assert http.get(f"/apis/{group}/v1alpha1/{path}").status_code == 404


def test_kubectl_lives_with_a_kind_that_it_never_heard_of(kubectl, group, namespace, tmp_path):
    """apply, wait, get with the definition's columns, a change by apply, explain, delete: as for any kind."""
    columns = [{"name": "Mode", "type": "string", "jsonPath": ".spec.mode"}]
    kubectl("apply", "-f", "-", stdin=_definition(group, STRICT, additionalPrinterColumns=columns))
    name = f"crd/widgets.{group}"
    assert "condition met" in kubectl("wait", "--for=condition=Established", name, "--timeout=10s")
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"mode": "one"}}
    assert "created" in kubectl("apply", "-n", namespace, "-f", "-", stdin=body)
    body["spec"]["mode"] = "all"
    assert "configured" in kubectl("apply", "-n", namespace, "-f", "-", stdin=body)
    table = kubectl("get", f"widgets.{group}", "-n", namespace).splitlines()
    assert [line.split() for line in table] == [["NAME", "MODE"], ["w", "all"]]
    assert "deleted" in kubectl("delete", name)


def test_definitions_and_their_objects_survive_a_restart(run_api, tmp_path):
    """A server over the same state serves the kind from its first request on."""
    path = "/apis/x.example.org/v1/namespaces/default/widgets"
    with run_api(tmp_path) as first:
        first.http.post(CRDS, json=_definition("x.example.org", STRICT)).raise_for_status()
        first.http.post(path, json={"metadata": {"name": "a"}, "spec": {"mode": "one"}}).raise_for_status()
        first.stop()
    with run_api(tmp_path) as second:
        assert second.http.get(f"{path}/a").json()["spec"] == {"mode": "one", "count": 3}
        items = second.http.get(path).json()["items"]
        assert [(one["kind"], one["apiVersion"]) for one in items] == [("Widget", "x.example.org/v1")]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text("ab", max_size=2))
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["spec", "mode", "labels", "free", "type", "properties", "items", "enum", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
PATCHES = ("strategic-merge-patch+json", "merge-patch+json", "json-patch+json", "apply-patch+yaml")


def test_no_body_of_a_custom_resource_makes_a_500(http, strict, namespace):
    """Objects, patches and schemas that make no sense are the client's mistake."""
    path = strict(namespace)
    http.post(path, json={"metadata": {"name": "a"}, "spec": {"mode": "one"}}).raise_for_status()

    @settings(max_examples=20, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(junk=JUNK, mode=SCALARS)
    def drive(junk, mode):
        body = {"metadata": {"name": "a"}, "spec": junk}
        answers = [
            http.post(path, json=body),
            http.put(f"{path}/a", json=body),
            http.put(f"{path}/a/status", json=body),
        ]
        for media in PATCHES:
            headers = {"Content-Type": f"application/{media}"}
            for sent in ({"spec": junk, "status": mode}, [{"op": "replace", "path": "/spec", "value": junk}], junk):
                content = json.dumps(sent)
                answers.append(http.patch(f"{path}/a?fieldManager=m&force=true", content=content, headers=headers))
        bad = _definition("junk.example.org", {"type": "object", "properties": {"spec": junk}, "enum": mode})
        answers.append(http.post(f"{CRDS}?dryRun=All", json=bad))
        for answer in answers:
            assert answer.status_code < 500, f"{answer.request.method} {answer.request.url} {junk}: {answer.text}"

    drive()
