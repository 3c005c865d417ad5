"""Who tries a release on some of the users would hear of it if it were bad."""

from muster.judge import canary as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#data-absent", step=3)
def test_the_canarys_triggers_find_its_series(canary, canary_series):
    """They are silent for a canary that is not there, and as silent where they look for it in the wrong place."""
    judge.assert_its_series_are_found(canary, canary_series)
