"""How long a symptom must stay away, at any scale of time."""

import pytest

from muster.release.symptom import HELD, patience_s, rhythm
from muster.system import Environment


@pytest.mark.parametrize(("scale", "every_s", "looks"), [(60, 0.25, HELD), (1, 4.0, 15)])
def test_looks_span_four_scrapes_and_leave_no_lock_unrenewed(scale, every_s, looks):
    """A Lease of 15 s must be renewed in between, however seldom is scraped."""
    env = Environment(name="here", description="test", time_scale=scale)
    assert rhythm(env) == (every_s, looks)
    assert every_s * looks >= HELD * env.scaled(env.scrape_interval_s)


def test_discovery_is_added_unscaled():
    """No time scale makes Prometheus see new pods sooner."""
    env = Environment(name="here", description="test", time_scale=60)
    assert patience_s(env) == 5 + 12
