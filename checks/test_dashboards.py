"""Where the runbooks say "look at the dashboard", there is one, and it shows something."""

from muster.judge import dashboards as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#data-absent")
def test_grafana_is_well(grafana_health):
    judge.assert_grafana_is_well(grafana_health)


@runbook("x0tta6bl4#data-absent")
def test_every_dashboard_exists(dashboards, facts):
    judge.assert_dashboards_exist(dashboards, facts.dashboards)


@runbook("x0tta6bl4#data-absent")
def test_every_panel_finds_a_series(panels):
    """An empty panel reads as "nothing wrong", too."""
    judge.assert_every_panel_shows_something(panels)
