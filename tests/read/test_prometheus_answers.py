"""Answers of Prometheus that a healthy one does not give."""

import time

import pytest

from muster.snapshot import FailureKind

QUERY, UP = "/api/v1/query", 'up{app="app"}'


@pytest.fixture
def answering(serve, environment):
    """A server that answers instant queries: a list of (labels, value) by the query's beginning."""

    def make(**answers):
        from urllib.parse import parse_qs

        def query(text):
            asked = parse_qs(text)["query"][0]
            kind = (
                "up" if asked.startswith("up") else "age" if asked.startswith("time()")
                else "replicas" if "by (pod)" in asked else "whole"
            )  # fmt: skip
            result = [{"metric": labels, "value": [time.time(), str(value)]} for labels, value in answers[kind]]
            return {"status": "success", "data": {"resultType": "vector", "result": result}}

        server = serve({QUERY: query})
        return environment(prometheus=server.url, metric_selector='app="app"', time_scale=60)

    return make


A, B = {"pod": "a"}, {"pod": "b"}


def test_samples_that_are_all_old_are_stale(read, answering):
    """A value computed from samples older than a few scrapes is no value."""
    here = answering(up=[(A, 1)], age=[(A, 30)], replicas=[(A, 0.01)], whole=[({}, 0.01)])
    found = read(here, "error_ratio").failure
    assert found.kind is FailureKind.STALE
    assert found.message == "the newest all_total of a is 30s old"


def test_one_replica_with_old_samples_is_a_gap(read, answering):
    """The value stands, with what it does not speak for."""
    here = answering(up=[(A, 1), (B, 1)], age=[(A, 0.1), (B, 30)], replicas=[(A, 0.01), (B, 0.01)], whole=[({}, 0.01)])
    assert read(here, "error_ratio").value["gaps"] == ["the newest all_total of b is 30s old"]


@pytest.mark.parametrize("name", ["gold-7d9c", "threshold"])
def test_a_pod_whose_name_says_old_is_not_stale_for_that(read, answering, name):
    """It is the kind of the gap that counts, not its words: a gold pod that is down is down."""
    gold = {"pod": name}
    here = answering(up=[(gold, 0)], age=[], replicas=[(gold, 0.01)], whole=[({}, 0.01)])
    assert read(here, "error_ratio").value["gaps"] == [f"target {name} is down"]


def test_one_replica_without_traffic_is_a_gap(read, answering):
    """0/0 on one replica of two does not make it a good one."""
    here = answering(
        up=[(A, 1), (B, 1)], age=[(A, 0.1), (B, 0.1)], replicas=[(A, 0.01), (B, "NaN")], whole=[({}, 0.01)]
    )
    value = read(here, "error_ratio").value
    assert value["per_replica"] == {"a": 0.01}
    assert value["gaps"] == ["no traffic to b in 1s"]
    assert value["gaps_of"] == {"b": ["no traffic to b in 1s"]}


def test_what_pods_of_an_earlier_release_left_in_the_window_is_no_replica(read, answering):
    """After a deploy the window still holds their samples: neither their errors nor their silence is about now."""
    here = answering(
        up=[(A, 1)], age=[(A, 0.1)], replicas=[(A, 0.01), (B, "NaN"), ({"pod": "c"}, 0.5)], whole=[({}, 0.01)]
    )
    value = read(here, "error_ratio").value
    assert (value["per_replica"], value["gaps"]) == ({"a": 0.01}, [])


def test_one_replica_without_the_series_is_a_gap(read, answering):
    """A release that renamed the metric on one replica must not be judged by the others."""
    here = answering(up=[(A, 1), (B, 1)], age=[(A, 0.1)], replicas=[(A, 0.01)], whole=[({}, 0.01)])
    assert read(here, "error_ratio").value["gaps"] == ["b answers its scrapes, but has no all_total"]


def test_several_series_are_not_one_value(read, answering):
    """A query that forgets to aggregate must not be judged by its first series."""
    here = answering(up=[(A, 1)], age=[(A, 0.1)], replicas=[(A, 0.01)], whole=[(A, 0.01), (B, 0.9)])
    assert read(here, "error_ratio").failure.kind is FailureKind.UNPARSEABLE


def test_something_else_on_that_port_is_not_prometheus(read, serve, environment):
    """JSON of another shape is 'unparseable', with a sentence that says so."""
    server = serve({"/api/v1/rules": {"hello": "world"}})
    found = read(environment(prometheus=server.url), "rules").failure
    assert found.kind is FailureKind.UNPARSEABLE
    assert "does not speak Prometheus' API" in found.message
