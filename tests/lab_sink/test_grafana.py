"""The stand-in for Grafana: what it serves is what lies in its folder, shaped as Grafana's API has it."""

import asyncio
import json

import pytest

PANEL = {"title": "Errors", "targets": [{"expr": "up"}]}


@pytest.fixture
def boards(state):
    """The folder of dashboards, and how one gets into it."""
    folder = state / "config" / "dashboards"
    folder.mkdir(parents=True)

    def write(uid, **model):
        (folder / f"{uid}.json").write_text(json.dumps({"uid": uid, "panels": [PANEL], **model}))

    write.folder = folder
    return write


@pytest.fixture
def get(serve):
    """Status and JSON of one GET below /grafana."""

    async def ask(path):
        async with serve() as client, client.get(f"/grafana{path}") as answer:
            return answer.status, await answer.json()

    return lambda path: asyncio.run(ask(path))


def test_it_is_well(get):
    """As Grafana answers whoever watches it."""
    status, said = get("/api/health")
    assert (status, said["database"]) == (200, "ok")


def test_a_search_lists_the_dashboards_of_the_folder(get, boards):
    """By part of the title, by tag, by type; there are no folders to be found."""
    boards("a", title="Mesh of x", tags=["mesh", "x"])
    boards("b", title="Latency")
    _, everything = get("/api/search?type=dash-db")
    assert [(hit["uid"], hit["title"], hit["type"]) for hit in everything] == [
        ("a", "Mesh of x", "dash-db"), ("b", "Latency", "dash-db"),
    ]  # fmt: skip
    assert [hit["uid"] for hit in (get("/api/search?query=lat"))[1]] == ["b"]
    assert [hit["uid"] for hit in (get("/api/search?tag=mesh&tag=x"))[1]] == ["a"]
    assert (get("/api/search?type=dash-folder"))[1] == []
    assert len((get("/api/search?limit=1"))[1]) == 1


def test_a_dashboard_comes_with_its_meta(get, boards):
    """The model as it lies there, with Grafana's id; the file that it was provisioned from is named."""
    boards("a", title="Mesh of x")
    status, said = get("/api/dashboards/uid/a")
    assert status == 200
    assert (said["dashboard"]["title"], said["dashboard"]["panels"]) == ("Mesh of x", [PANEL])
    assert (said["meta"]["url"], said["meta"]["provisionedExternalId"]) == ("/d/a/mesh-of-x", "a.json")


def test_what_is_not_there_is_404_in_grafanas_words(get, boards):
    """A dashboard, and an address; a file that is no dashboard is not served."""
    (boards.folder / "broken.json").write_text("{")
    (boards.folder / "list.json").write_text("[]")
    assert get("/api/dashboards/uid/a") == (404, {"message": "Dashboard not found", "traceID": ""})
    assert get("/api/folders") == (404, {"message": "Not found", "traceID": ""})
    assert (get("/api/search"))[1] == []


def test_a_dashboard_that_is_put_there_later_is_served(get, boards):
    """As file provisioning has it, without a restart."""
    assert (get("/api/search"))[1] == []
    boards("a", title="A")
    assert [hit["uid"] for hit in (get("/api/search"))[1]] == ["a"]
