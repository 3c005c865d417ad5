"""Every replica answers, says that it is well, and is the same thing as its neighbours."""

from muster.judge import health as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=1)
def test_every_replica_is_healthy(health):
    judge.assert_healthy(health)


@runbook("x0tta6bl4#service-down", step=1)
def test_users_reach_a_healthy_service(ingress_health):
    judge.assert_users_are_served(ingress_health)


@runbook("x0tta6bl4#service-down", step=1)
def test_every_replica_serves_the_same_version(health):
    judge.assert_one_version(health)


@runbook("x0tta6bl4#high-error-rate", step=4)
def test_what_the_service_leans_on_is_well(health, facts):
    judge.assert_dependencies_are_well(health, facts.dependencies)
