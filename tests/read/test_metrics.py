"""Every replica's own page of metrics: what it exposes, and what the runbooks' greps show of it."""

import pytest
from patient import take

from muster.system.model import MetricName

TYPE = ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")


@pytest.fixture
def grepping(system):
    """The least system, with two greps in its runbooks."""
    names = [
        MetricName(pattern=pattern, metric="errors_total", runbook="tiny#errors", source="tests")
        for pattern in ("errors", "fehler")
    ]
    return system.model_copy(update={"metric_names": names})


def test_a_page_is_read_with_what_greps_show_and_a_broken_one_is_its_replicas_failure(
    grepping, serve, environment, workload, pod
):
    """One replica serves HTML: the other is judged, this one is told with its content type."""
    first = serve({"/metrics": (200, b'errors_total{kind="a"} 1\nup 1\n', TYPE)})
    serve({"/metrics": (200, b"<html>\n", ("Content-Type", "text/html"))}, host="127.0.0.2", port=first.port)
    api = serve({"/api/v1/namespaces/ns/pods": {"items": [pod("a"), pod("b", "127.0.0.2")]}})
    here = environment(kubernetes=workload(api.url, first.port))
    value = take(grepping, here, ["metrics"]).readings["metrics"].value
    assert value["a"] == {
        "series": 2, "names": ["errors_total", "up"], "greps": {"errors": ["errors_total"], "fehler": []},
    }  # fmt: skip
    assert value["b"]["failure"]["kind"] == "content_type"
    assert "says text/html" in value["b"]["failure"]["message"]
