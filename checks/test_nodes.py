"""The nodes under the replicas are well, stay, and are more than one where there are more."""

from muster.judge import disruption
from muster.judge import nodes as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=4)
def test_every_node_is_ready_and_under_no_pressure(nodes):
    judge.assert_nodes_are_well(nodes)


@runbook("x0tta6bl4#service-down", step=4)
def test_no_node_is_cordoned(nodes):
    judge.assert_no_node_is_cordoned(nodes)


@runbook("x0tta6bl4#service-down", step=4)
def test_the_replicas_are_spread_over_nodes(pods, nodes):
    """One node's end must not be everybody's."""
    judge.assert_replicas_are_spread(pods, nodes)


@runbook("x0tta6bl4#service-down", step=4)
def test_a_node_can_be_drained(budgets):
    """The budget lets one replica go, and not all of them."""
    disruption.assert_a_drain_is_possible(budgets)
