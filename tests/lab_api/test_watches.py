"""Lists and watches over HTTP."""

from __future__ import annotations

import json
import queue
import threading
import time
from contextlib import contextmanager

import pytest
from quick import quick

MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def configmaps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


@contextmanager
def _watching(http, path, accept="application/json", **params):
    """The events of a watch, as an iterator."""
    query = {"watch": "true", "timeoutSeconds": "60", **params}
    with http.stream("GET", path, params=query, headers={"Accept": accept}) as answer:
        assert answer.status_code == 200, answer.read()
        yield (json.loads(line) for line in answer.iter_lines())


def _names(events):
    return [(event["type"], event["object"]["metadata"].get("name")) for event in events]


def _make(http, path, name, **labels):
    http.post(path, json={"metadata": {"name": name, "labels": labels}}).raise_for_status()


def test_a_watch_continues_a_list(http, configmaps):
    """From a list's resourceVersion on, every change comes once and in order."""
    _make(http, configmaps, "before")
    version = http.get(configmaps).json()["metadata"]["resourceVersion"]
    _make(http, configmaps, "a")
    with _watching(http, configmaps, resourceVersion=version) as events:
        assert next(events)["object"]["kind"] == "ConfigMap"
        http.patch(f"{configmaps}/a", json={"data": {"k": "v"}}, headers=MERGE)
        http.delete(f"{configmaps}/a")
        seen = [next(events), next(events)]
    assert _names(seen) == [("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(versions)
    assert versions[0] > int(version)


@pytest.mark.parametrize("params", [{}, {"resourceVersion": "0"}])
def test_a_watch_without_a_version_begins_with_what_is_there(http, configmaps, params):
    """The state comes first, as ADDED."""
    _make(http, configmaps, "a")
    _make(http, configmaps, "b")
    with _watching(http, configmaps, **params) as events:
        assert _names([next(events), next(events)]) == [("ADDED", "a"), ("ADDED", "b")]


def test_initial_events_end_with_a_bookmark(http, configmaps):
    """A watch with sendInitialEvents replays, then says so."""
    _make(http, configmaps, "a")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with _watching(http, configmaps, **query) as events:
        assert next(events)["type"] == "ADDED"
        bookmark = next(events)
    assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    refused = http.get(configmaps, params={"watch": "true", "sendInitialEvents": "true"})
    assert refused.status_code == 422


def test_an_old_version_is_expired(http, configmaps):
    """HTTP 200 with one ERROR event of code 410."""
    with _watching(http, configmaps, resourceVersion="1") as events:
        error = next(events)
        assert list(events) == []
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert error["object"]["message"].startswith("too old resource version: 1 (")


def test_selectors_turn_changes_into_additions_and_deletions(http, configmaps):
    """What begins to match is ADDED, what ceases to match is DELETED, others are not seen."""
    version = http.get(configmaps).json()["metadata"]["resourceVersion"]
    with _watching(http, configmaps, resourceVersion=version, labelSelector="color=red") as events:
        _make(http, configmaps, "other", color="blue")
        _make(http, configmaps, "a", color="blue")
        http.patch(f"{configmaps}/a", json={"metadata": {"labels": {"color": "red"}}}, headers=MERGE)
        http.patch(f"{configmaps}/a", json={"data": {"k": "v"}}, headers=MERGE)
        http.patch(f"{configmaps}/a", json={"metadata": {"labels": {"color": "blue"}}}, headers=MERGE)
        http.delete(f"{configmaps}/a")
        _make(http, configmaps, "last", color="red")
        seen = [next(events) for _ in range(4)]
    assert _names(seen) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "last")]
    assert seen[2]["object"]["metadata"]["labels"] == {"color": "red"}


def test_a_watch_of_one_name(http, configmaps):
    """fieldSelector=metadata.name, which is how kubectl waits."""
    with _watching(http, configmaps, fieldSelector="metadata.name=a") as events:
        _make(http, configmaps, "b")
        _make(http, configmaps, "a")
        assert _names([next(events)]) == [("ADDED", "a")]


def test_a_watch_as_tables(http, configmaps):
    """Rows; the column definitions come once."""
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    with _watching(http, configmaps, accept=accept) as events:
        _make(http, configmaps, "a")
        _make(http, configmaps, "b")
        first, second = next(events)["object"], next(events)["object"]
    assert [one["name"] for one in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert (first["rows"][0]["cells"][:2], second["columnDefinitions"]) == (["a", 0], None)


def test_a_watch_ends_when_its_time_is_over(http, configmaps):
    """Its timeoutSeconds ends it without an error."""

    def watch():
        began = time.monotonic()
        with _watching(http, configmaps, timeoutSeconds="1") as events:
            assert list(events) == []
        assert time.monotonic() - began > 0.9

    quick(watch, under_s=8)


def test_a_change_reaches_a_watcher_soon(http, configmaps):
    """Within a fraction of a second even on a busy machine; the benchmark measures how soon."""
    arrived = queue.SimpleQueue()
    with _watching(http, configmaps) as events:
        reader = threading.Thread(target=lambda: [arrived.put((next(events), time.monotonic())) for _ in "abc"])
        reader.start()
        took_s = []
        for name in "abc":  # the machine may stand still for one of them
            began = time.monotonic()
            _make(http, configmaps, name)
            took_s.append(arrived.get(timeout=30)[1] - began)
        reader.join(30)
    assert min(took_s) < 1, took_s


def test_pages(http, configmaps):
    """A limit and continue tokens walk through all, say how many remain, and keep the version of the first page."""
    for name in "abcde":
        _make(http, configmaps, name)
    names, query, left = [], {"limit": "2"}, []
    version = http.get(configmaps).json()["metadata"]["resourceVersion"]
    while True:
        page = http.get(configmaps, params=query).json()
        names += [item["metadata"]["name"] for item in page["items"]]
        left.append(page["metadata"].get("remainingItemCount"))
        if "continue" not in page["metadata"]:
            break
        assert int(page["metadata"]["resourceVersion"]) >= int(version)
        query["continue"] = page["metadata"]["continue"]
    assert (names, left) == (list("abcde"), [3, 1, None])


def test_pages_are_of_one_moment(http, configmaps):
    """What is written between two pages of a list is not in the second; an exact list finds that moment again."""
    for name in "abcd":
        http.post(configmaps, json={"metadata": {"name": name}}).raise_for_status()
    first = http.get(configmaps, params={"limit": 2}).json()
    http.delete(f"{configmaps}/c").raise_for_status()
    http.post(configmaps, json={"metadata": {"name": "cc"}}).raise_for_status()
    query = {"limit": 2, "continue": first["metadata"]["continue"]}
    second = http.get(configmaps, params=query).json()
    assert [one["metadata"]["name"] for one in second["items"]] == ["c", "d"]
    query = {"resourceVersion": first["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    exact = http.get(configmaps, params=query).json()
    assert [one["metadata"]["name"] for one in exact["items"]] == list("abcd")


def test_items_of_a_list_have_no_kind(http, configmaps):
    """Their kind and apiVersion are said once, by the list."""
    _make(http, configmaps, "a")
    body = http.get(configmaps).json()
    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert "kind" not in body["items"][0]


def test_a_version_of_the_future_is_a_timeout(http, configmaps):
    """A list waits for it for a while, then says 504 and when to come back."""
    answer = http.get(configmaps, params={"resourceVersion": "99999999"})
    assert (answer.status_code, answer.json()["reason"], answer.headers["Retry-After"]) == (504, "Timeout", "1")
    assert answer.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_metadata_alone(http, configmaps):
    """PartialObjectMetadata, which garbage collectors read."""
    _make(http, configmaps, "a")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    body = http.get(configmaps, headers={"Accept": accept}).json()
    assert (body["kind"], set(body["items"][0])) == ("PartialObjectMetadataList", {"kind", "apiVersion", "metadata"})
