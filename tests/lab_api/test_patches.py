"""Patches, on the types that people patch."""

from __future__ import annotations

import pytest

from lab.api import patches
from lab.api.errors import ApiError
from lab.api.shapes import struct

DEPLOYMENT = struct("Deployment")


def _with_containers(*containers):
    return {"spec": {"template": {"spec": {"containers": list(containers)}}}}


def _containers(body):
    return body["spec"]["template"]["spec"]["containers"]


def test_strategic_merges_a_list_by_its_key():
    """A container is found by name, its env by name; what is not named is kept."""
    held = _with_containers({"name": "a", "image": "x:1", "env": [{"name": "L", "value": "1"}]}, {"name": "b"})
    sent = _with_containers({"name": "a", "env": [{"name": "M", "value": "2"}]})
    first, second = _containers(patches.strategic_patch(held, sent, DEPLOYMENT))
    assert first == {"name": "a", "image": "x:1", "env": [{"name": "L", "value": "1"}, {"name": "M", "value": "2"}]}
    assert second == {"name": "b"}


def test_strategic_deletes_an_item_and_keeps_the_order_asked_for():
    """``$patch: delete`` removes by key; ``$setElementOrder`` orders the rest."""
    held = _with_containers({"name": "a", "env": [{"name": "1"}, {"name": "2"}, {"name": "3"}]})
    sent = _with_containers(
        {
            "name": "a",
            "$setElementOrder/env": [{"name": "3"}, {"name": "1"}],
            "env": [{"name": "2", "$patch": "delete"}, {"name": "3", "value": "x"}],
        }
    )
    (container,) = _containers(patches.strategic_patch(held, sent, DEPLOYMENT))
    assert container["env"] == [{"name": "3", "value": "x"}, {"name": "1"}]


def test_strategic_keeps_the_place_of_what_only_the_server_has():
    """An item that the client does not know of (a side-car) stays where it stands."""
    held = _with_containers({"name": "side"}, {"name": "a"}, {"name": "b"})
    sent = {
        "spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "new"}],
            "containers": [{"name": "new"}],
        }}}
    }  # fmt: skip
    names = [one["name"] for one in _containers(patches.strategic_patch(held, sent, DEPLOYMENT))]
    assert names == ["side", "a", "b", "new"]


def test_strategic_replaces_and_retains_keys():
    """``$patch: replace`` replaces a map; ``$retainKeys`` drops the keys of another strategy."""
    held = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    sent = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patches.strategic_patch(held, sent, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}
    labels = {"metadata": {"labels": {"a": "1"}}}
    replaced = patches.strategic_patch(labels, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}, DEPLOYMENT)
    assert replaced["metadata"]["labels"] == {"b": "2"}


def test_strategic_merges_and_deletes_primitives():
    """Finalizers are a set: merged, and removed by ``$deleteFromPrimitiveList``."""
    held = {"metadata": {"finalizers": ["a", "b"]}}
    merged = patches.strategic_patch(held, {"metadata": {"finalizers": ["b", "c"]}}, DEPLOYMENT)
    assert merged["metadata"]["finalizers"] == ["a", "b", "c"]
    cut = patches.strategic_patch(held, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, DEPLOYMENT)
    assert cut["metadata"]["finalizers"] == ["b"]


def test_strategic_replaces_a_list_without_key():
    """Tolerations, args and the like are replaced as a whole."""
    held, sent = _with_containers({"name": "a", "args": ["1", "2"]}), _with_containers({"name": "a", "args": ["3"]})
    assert _containers(patches.strategic_patch(held, sent, DEPLOYMENT)) == [{"name": "a", "args": ["3"]}]


def test_strategic_needs_the_merge_key():
    """An item without its key is a client's mistake, said in the server's words."""
    with pytest.raises(ApiError, match="does not contain declared merge key: name") as caught:
        patches.strategic_patch({}, _with_containers({"image": "x"}), DEPLOYMENT)
    assert caught.value.code == 400


def test_merge_patch_follows_the_rfc():
    """Null deletes, lists are replaced, maps are merged."""
    held = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert patches.merge_patch(held, {"a": {"b": None, "e": 3}, "d": [2]}) == {"a": {"c": 2, "e": 3}, "d": [2]}


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "remove", "path": "/spec/nosuch"}],
        [{"op": "test", "path": "/spec/replicas", "value": 77}],
        [{"op": "frobnicate", "path": "/spec"}],
        [{"op": "replace", "path": "no-slash", "value": 1}],
        [{"path": "/spec"}],
    ],
)
def test_a_json_patch_that_does_not_fit_is_422(operations):
    """A missing path, a failed test or nonsense changes nothing and is unprocessable."""
    held = {"spec": {"replicas": 3}}
    with pytest.raises(ApiError) as caught:
        patches.json_patch(held, operations)
    assert (caught.value.code, held) == (422, {"spec": {"replicas": 3}})


def test_apply_is_an_upsert():
    """What is applied is merged by key; what others wrote stays."""
    held = _with_containers({"name": "a", "image": "x:1", "env": [{"name": "L"}, {"name": "Z"}]}, {"name": "side"})
    now = _with_containers({"name": "a", "env": [{"name": "M"}]})
    first, second = _containers(patches.apply_merge(held, now, DEPLOYMENT))
    assert first == {"name": "a", "image": "x:1", "env": [{"name": "L"}, {"name": "Z"}, {"name": "M"}]}
    assert second == {"name": "side"}
