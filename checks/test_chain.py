"""The chain from alert to people and to the rollback: each link answers. A drill proves it whole."""

from muster.judge import reach as judge
from muster.pytest_plugin import chain, runbook


@chain
@runbook("x0tta6bl4#data-absent", step=3)
def test_alertmanager_answers(alertmanager_ready):
    judge.assert_ready("Alertmanager", alertmanager_ready)


@chain
@runbook("x0tta6bl4#rollback")
def test_every_pager_can_be_reached(pagers):
    """A connection and no more: nobody is paged by it."""
    judge.assert_pagers_are_reached(pagers)


@chain
@runbook("x0tta6bl4#rollback")
def test_the_responder_answers(responder):
    judge.assert_ready("the responder", responder)
