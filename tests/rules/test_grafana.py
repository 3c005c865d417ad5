"""Dashboards that Grafana takes: a panel for each indicator, the ladder as thresholds, and no number of their own."""

import json

import pytest

from muster.errors import UsageError
from muster.rules import render, write
from muster.rules.grafana import dashboards, steps
from muster.rules.prometheus import groups


@pytest.fixture(scope="module")
def board(system, staging):
    return json.loads(render(system, staging, "grafana"))


def test_the_dashboard_is_the_one_that_the_facts_expect(system, board):
    """Title and uid are what smoke looks for."""
    assert (board["uid"], board["title"]) == (system.dashboards[0].uid, system.dashboards[0].title)
    assert isinstance(board["schemaVersion"], int)


def test_every_indicator_has_a_panel_and_no_two_overlap(system, board):
    """Each once, side by side on a grid that is 24 wide."""
    assert [panel["title"] for panel in board["panels"]] == [slo.title for slo in system.slo.values()]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    cells = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        assert all(x < 24 for x, _ in own)
        cells |= own


def test_panels_show_what_alerts_compare(system, staging, board):
    """The first query of a panel is the recorded indicator, the second is by pod."""
    (group,) = groups(system, staging)
    recorded = {rule["record"] for rule in group["rules"] if "record" in rule}
    for panel, slo in zip(board["panels"], system.slo.values(), strict=True):
        whole, *replicas = [target["expr"] for target in panel["targets"]]
        assert whole.partition("{")[0] in recorded
        assert len(replicas) == bool(slo.per_replica)
        assert "{selector}" not in str(panel)
        assert "{window}" not in str(panel)
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))


def test_promtool_parses_every_query(system, staging, lab, tool, tmp_path):
    """The real parser is the judge, in every environment."""
    for environment in (staging, lab):
        (board,) = dashboards(system, environment).values()
        queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        rules = [{"record": f"q{index}", "expr": query} for index, query in enumerate(queries)]
        file = tmp_path / f"{environment.name}.yml"
        file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
        assert "SUCCESS" in tool("promtool", "check", "rules", file).stdout


def test_the_ladder_is_the_panels_thresholds(system):
    """Colours rise with the levels; the first has no value, as Grafana wants it."""
    assert steps(system.slo["error_ratio"]) == [
        {"color": "green", "value": None},
        {"color": "yellow", "value": 0.001},
        {"color": "orange", "value": 0.01},
        {"color": "red", "value": 0.05},
        {"color": "dark-red", "value": 0.1},
    ]
    for slo in system.slo.values():
        first, *others = steps(slo)
        assert first["value"] is None
        assert [step["value"] for step in others] == sorted({step["value"] for step in others})


@pytest.mark.parametrize(("slo", "good", "bad"), [("down", 0, 1), ("pqc_fallback", 0, 1), ("restarts", 3, 4)])
def test_what_is_still_good_is_green(system, slo, good, bad):
    """Grafana's steps begin at their value, limits beyond it: nothing down is not red."""
    assert (color_at(system.slo[slo], good), color_at(system.slo[slo], bad) == "green") == ("green", False)


def test_more_is_better_where_the_objective_says_so(system):
    """Below 6,000 requests a second the objective is missed."""
    assert (color_at(system.slo["throughput"], 5999), color_at(system.slo["throughput"], 6001)) == ("yellow", "green")


def color_at(slo, value):
    return [step["color"] for step in steps(slo) if step["value"] is None or value >= step["value"]][-1]


def test_a_dashboard_may_choose_its_panels(system, staging):
    """In its own order."""
    chosen = system.dashboards[0].model_copy(update={"uid": "few", "slo": ["cpu", "memory"]})
    (board,) = dashboards(system.model_copy(update={"dashboards": [chosen]}), staging).values()
    assert [panel["title"] for panel in board["panels"]] == [system.slo[name].title for name in ("cpu", "memory")]


def test_it_is_written_under_its_uid(system, staging, tmp_path):
    """A folder of files that Grafana provisions as it is."""
    assert write(system, staging, tmp_path, ("grafana",)) == [tmp_path / "x0tta6bl4.json"]


def test_without_dashboards_there_is_nothing_to_render(system, staging):
    """Said, not rendered empty."""
    with pytest.raises(UsageError, match=r"systems/x0tta6bl4\.yaml names no dashboards"):
        render(system.model_copy(update={"dashboards": []}), staging, "grafana")
