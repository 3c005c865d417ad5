"""Discovery, OpenAPI, and the table of types behind them."""

from __future__ import annotations

from lab.api.resources import TABLE, Registry
from lab.api.shapes import structs


def test_every_type_is_defined():
    """Each struct that a field names exists, and each row has its type."""
    scalars = {"string", "int", "long", "number", "bool", "bytes", "time", "microtime", "quantity", "intstr", "any"}
    for shape in structs().values():
        for field in shape.fields.values():
            inner = field.type
            while inner.item is not None:
                inner = inner.item
            assert inner.kind in scalars or inner.name in structs(), f"{shape.name}.{field.name}"
    for row in TABLE:
        assert structs()[row.type.name].top, row.plural


def test_health(http):
    """Three endpoints of one word; verbose lists the checks."""
    assert {http.get(path).text for path in ("/healthz", "/readyz", "/livez")} == {"ok"}
    assert http.get("/readyz?verbose").text.endswith("readyz check passed\n")
    assert http.get("/version").headers["Cache-Control"] == "no-cache, private"


def test_discovery_lists_the_table(http):
    """Every row is found where its group says, with its subresources."""
    groups = http.get("/apis").json()["groups"]
    assert {one["name"] for one in groups} >= set(Registry().groups())
    for row in TABLE:
        listed = http.get(row.prefix).json()
        assert listed["groupVersion"] == row.api_version
        entry = next(one for one in listed["resources"] if one["name"] == row.plural)
        assert (entry["kind"], entry["namespaced"]) == (row.kind, row.namespaced)
        assert {f"{row.plural}/{name}" for name in row.subresources} <= {one["name"] for one in listed["resources"]}
    assert http.get("/apis/apps").json()["preferredVersion"]["groupVersion"] == "apps/v1"


def test_openapi_knows_merge_keys(http):
    """The documents carry what a strategic merge needs, and each reference can be followed."""
    index = http.get("/openapi/v3")
    assert index.headers["Content-Type"].startswith("text/plain")
    paths = index.json()["paths"]
    assert {"api/v1", "apis/apps/v1"} <= set(paths)
    document = http.get(paths["apis/apps/v1"]["serverRelativeURL"]).json()
    schemas = document["components"]["schemas"]
    containers = schemas["io.k8s.api.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    gvk = schemas["io.k8s.api.Deployment"]["x-kubernetes-group-version-kind"]
    assert gvk == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    assert _references(document) <= {f"#/components/schemas/{name}" for name in schemas}


def _references(value):
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(_references(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(one) for one in value))
    return set()
