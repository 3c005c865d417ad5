"""How long a symptom must stay away, at any scale of time."""

from types import SimpleNamespace

import pytest

from muster.release.symptom import HELD, patience_s, rhythm, watch
from muster.system import Environment, load_system
from muster.verdict import Verdict


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


@pytest.mark.parametrize(("ratio", "verdict"), [(0.15, Verdict.FAIL), (0.0, Verdict.UNKNOWN)])
def test_a_symptom_that_is_gone_for_too_short_a_time_has_not_stayed(ratio, verdict):
    """One look is no proof that it is gone, and of one that it is there only where it is."""
    given = {"time_scale": 60, "prometheus": "here", "discovery": "0s", "rollback": {"symptom_within": "0s"}}
    env = Environment.model_validate({"name": "here", "description": "test", **given})
    monitor = SimpleNamespace(value=lambda *_, **__: ratio)
    assert watch(monitor, load_system("x0tta6bl4"), env, "X0TTA6BL4ErrorRatioRollback").verdict is verdict
