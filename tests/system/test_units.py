"""Durations as Prometheus takes them."""

import pytest

from muster.system.environment import Environment
from muster.system.promql import fill, prom_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (1, "1s"), (2.5, "2500ms"), (90, "1m30s"), (300, "5m"), (3600, "1h"), (1e-9, "1ms")],
)
def test_durations_are_whole_and_never_vanish(seconds, text):
    """Prometheus takes whole units only, and a window of something never becomes a window of nothing."""
    assert prom_duration(seconds) == text


def test_filling_is_literal():
    """Braces of PromQL stay as they are; only the three words are replaced."""
    environment = Environment(description="x", time_scale=60, metric_selector='a="b"')
    query = 'sum(rate(x{y="{z}",{selector}}[{window}])) / sum(rate(x{{selector}}[{window}]))'
    assert fill("y{{pods}}", environment, 60) == 'y{a="b"}'  # without Kubernetes there are no other names for its pods
    assert fill(query, environment, 60) == 'sum(rate(x{y="{z}",a="b"}[1s])) / sum(rate(x{a="b"}[1s]))'
