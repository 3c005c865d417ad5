"""Grafana as its API answers: well or not, its dashboards, and the PromQL that their panels ask."""

import pytest
from patient import take

from muster.snapshot import FailureKind
from muster.system.expectations import Dashboard

HEALTH, SEARCH, BOARD = "/api/health", "/api/search", "/api/dashboards/uid/mesh"
MODEL = {
    "title": "Mesh",
    "templating": {"list": [
        {"name": "pod", "current": {"value": ["a", "b"]}}, {"name": "app", "current": {"value": "$__all"}},
    ]},
    "panels": [
        {"title": "Traffic", "targets": [{"expr": 'rate(x{pod=~"$pod",app=~"${app}"}[$__rate_interval])'}]},
        {"type": "row", "title": "Row", "panels": [
            {"title": "Peers", "targets": [
                {"expr": "sum(peers"}, {"expr": "up"}, {"expr": "gone", "hide": True}, {"query": "sql"},
            ]},
        ]},
        {"type": "text", "title": "Words"},
    ],
}  # fmt: skip


@pytest.fixture
def boards(system):
    """The least system, and one dashboard that it expects."""
    return system.model_copy(update={"dashboards": [Dashboard(uid="mesh", title="Mesh", source="tests")]})


@pytest.fixture
def grafana(serve, environment, boards):
    """The reading of a Grafana that answers this."""

    def read(name, routes, **sources):
        here = environment(grafana=serve(routes).url, scrape_interval="15s", **sources)
        return take(boards, here, [name]).readings[name]

    return read


def test_health_is_an_answer_also_when_it_is_bad(grafana):
    """503 with a failing database is what Grafana says, and is judged."""
    assert grafana("grafana_health", {HEALTH: {"database": "ok", "version": "10.4.2"}}).value == {
        "status_code": 200, "database": "ok", "version": "10.4.2",
    }  # fmt: skip
    assert grafana("grafana_health", {HEALTH: (503, {"database": "failing"})}).value["database"] == "failing"
    assert grafana("grafana_health", {HEALTH: {"status": "ok"}}).failure.kind is FailureKind.UNPARSEABLE


def test_the_panels_queries_are_read_with_their_variables_filled_in(grafana):
    """Those in rows too; hidden ones and other sources' have no PromQL that anybody sees."""
    routes = {SEARCH: [{"uid": "mesh", "title": "Mesh"}], BOARD: {"meta": {}, "dashboard": MODEL}}
    value = grafana("dashboards", routes).value
    assert value["found"] == {"mesh": "Mesh"}
    assert value["expected"]["mesh"]["panels"] == [
        {"title": "Traffic", "queries": ['rate(x{pod=~"a|b",app=~".+"}[1m])']},
        {"title": "Peers", "queries": ["sum(peers", "up"]},
        {"title": "Words", "queries": []},
    ]


def test_a_dashboard_that_is_not_there_is_none_and_another_404_is_a_failure(grafana):
    """Grafana's own word for it, not just any page that is missing."""
    missing = {SEARCH: [], BOARD: (404, {"message": "Dashboard not found"})}
    assert grafana("dashboards", missing).value["expected"] == {"mesh": None}
    proxy = {SEARCH: [], BOARD: (404, {"error": "no upstream"})}
    found = grafana("dashboards", proxy).failure
    assert found.kind is FailureKind.HTTP_STATUS
    assert "not as Grafana does" in found.message


def test_whom_it_does_not_let_in_is_forbidden(grafana):
    """An expired token is one sentence."""
    found = grafana("dashboards", {SEARCH: (401, {"message": "Invalid API key"})}).failure
    assert found.kind is FailureKind.FORBIDDEN
    assert found.message.endswith("/api/search answered 401: Invalid API key")


def test_something_else_in_its_shape_is_unparseable(grafana):
    """A list where objects should be, and a dashboard without one."""
    assert grafana("dashboards", {SEARCH: ["x"]}).failure.kind is FailureKind.UNPARSEABLE
    empty = {SEARCH: [], BOARD: {"meta": {}}}
    assert grafana("dashboards", empty).failure.kind is FailureKind.UNPARSEABLE


def test_every_panels_query_is_asked_of_prometheus_and_counted(grafana, serve):
    """One that Prometheus refuses is that panel's failure, and no other's."""

    def query(text):
        if "peers" in text:
            return 400, {"status": "error", "error": "parse error"}
        several = "label_replace" in text  # plain selectors are counted together
        labels, number = ({"selector": "0"}, "5") if several else ({}, "3")
        vector = {"resultType": "vector", "result": [{"metric": labels, "value": [0, number]}]}
        return {"status": "success", "data": vector}

    prometheus = serve({"/api/v1/query": query}).url
    routes = {SEARCH: [{"uid": "mesh", "title": "Mesh"}], BOARD: {"meta": {}, "dashboard": MODEL}}
    first, second, third = grafana("panels", routes, prometheus=prometheus).value
    assert (first["panel"], first["series"]) == ("Traffic", 3)
    assert (second["panel"], second["failure"]["kind"]) == ("Peers", "http_status")
    assert "parse error" in second["failure"]["message"]
    assert (third["query"], third["series"]) == ("up", 5)
