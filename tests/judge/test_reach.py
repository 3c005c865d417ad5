"""Each link of the chain answers, or the sentence says which does not; what was not reached is unknown."""

import pytest

from muster.errors import Unknown
from muster.judge import dashboards, reach, targets
from muster.judge.replicas import Replicas
from muster.judge.undeclared import Undeclared
from muster.system.model import Dashboard

REACHED = {"kind": "pagerduty", "host": "events", "port": 443, "how": "tls"}
REFUSED = {"failure": {"kind": "refused", "message": "events:443 refuses connections"}}


def pagers(**contacts):
    return Replicas("pagers", contacts, lambda _, raw: reach.reached(raw))


def test_a_server_that_is_ready_passes_and_one_that_is_not_says_so():
    """200 is ready; 503 fails in the server's own words."""
    reach.assert_ready("Prometheus", reach.ready({"status_code": 200, "said": "Ready."}))
    with pytest.raises(AssertionError, match=r"Prometheus says that it is not ready \(503\): Service Unavailable"):
        reach.assert_ready("Prometheus", reach.ready({"status_code": 503, "said": "Service Unavailable"}))


def test_pagers_that_were_reached_pass_and_one_that_was_not_is_unknown():
    """By contact: who would not be paged is named. Nobody at all is unknown as well."""
    reach.assert_pagers_are_reached(pagers(first=REACHED))
    with pytest.raises(Unknown, match="pagers of second: events:443 refuses connections"):
        reach.assert_pagers_are_reached(pagers(first=REACHED, second=REFUSED))
    with pytest.raises(Unknown, match="nobody to reach"):
        reach.assert_pagers_are_reached(pagers())
    with pytest.raises(AssertionError, match="was reached by nothing"):
        reach.assert_pagers_are_reached(pagers(first={**REACHED, "how": ""}))


def test_grafana_is_well_only_with_its_database():
    """Its pages may answer while nothing can be shown."""
    dashboards.assert_grafana_is_well(dashboards.Grafana(200, "ok", "10"))
    for ill in (dashboards.Grafana(503, "failing", "10"), dashboards.Grafana(200, "failing", "10")):
        with pytest.raises(AssertionError, match="its database is failing"):
            dashboards.assert_grafana_is_well(ill)


def test_a_dashboard_that_is_missing_or_of_another_name_is_found():
    """What there is instead is said; what nobody asked for is unknown; none declared is a skip."""
    fact = Dashboard(uid="mesh", title="Mesh", source="tests")
    board = {"title": "Mesh", "panels": []}
    dashboards.assert_dashboards_exist(dashboards.Dashboards({"mesh": board}, {"mesh": "Mesh"}), [fact])
    with pytest.raises(AssertionError, match=r"no dashboard Mesh \(uid mesh\); it has Other"):
        dashboards.assert_dashboards_exist(dashboards.Dashboards({"mesh": None}, {"o": "Other"}), [fact])
    with pytest.raises(AssertionError, match="is called Mush, not Mesh"):
        dashboards.assert_dashboards_exist(dashboards.Dashboards({"mesh": {"title": "Mush"}}, {}), [fact])
    with pytest.raises(Unknown, match="nobody asked"):
        dashboards.assert_dashboards_exist(dashboards.Dashboards({}, {}), [fact])
    with pytest.raises(Undeclared):
        dashboards.assert_dashboards_exist(dashboards.Dashboards({}, {}), [])


def panel(**changes):
    return {"dashboard": "mesh", "panel": "Errors", "query": "up", "series": 1, **changes}


def test_a_panel_that_shows_nothing_fails_and_one_that_could_not_be_asked_is_unknown():
    """An empty panel outranks an unknown one; no panel at all is unknown."""
    dashboards.assert_every_panel_shows_something(dashboards.panels([panel()]))
    failed = {key: value for key, value in panel().items() if key != "series"} | {"failure": {"message": "timeout"}}
    with pytest.raises(AssertionError, match="panel 'Errors' of dashboard mesh shows nothing: no series for up"):
        dashboards.assert_every_panel_shows_something(dashboards.panels([failed, panel(series=0)]))
    with pytest.raises(Unknown, match="panel 'Errors' of dashboard mesh: timeout"):
        dashboards.assert_every_panel_shows_something(dashboards.panels([panel(), failed]))
    with pytest.raises(Unknown, match="nothing was looked at"):
        dashboards.assert_every_panel_shows_something(())


def target(age_s, interval_s=15.0):
    return targets.Target(
        job="j", instance="1:2", pod="a", health="up", last_error="", last_scrape="", age_s=age_s, interval_s=interval_s
    )


def test_a_target_that_was_not_scraped_for_long_fails():
    """Up, as of four intervals ago: who knows."""
    targets.assert_scrapes_are_fresh((target(20.0),))
    with pytest.raises(AssertionError, match="last scraped a 2m ago, though its interval is 15s"):
        targets.assert_scrapes_are_fresh((target(120.0),))
    for unknown in (target(None), target(3.0, None)):
        with pytest.raises(Unknown, match="how old the last scrape of a is"):
            targets.assert_scrapes_are_fresh((unknown,))


def test_a_metric_that_prometheus_does_not_hold_is_named():
    """None declared is nothing judged."""
    targets.assert_every_metric_is_present({"up": 3})
    with pytest.raises(AssertionError, match="no series a, b here: every alert on it is silent"):
        targets.assert_every_metric_is_present({"a": 0, "up": 3, "b": 0})
    with pytest.raises(Unknown):
        targets.assert_every_metric_is_present({})
