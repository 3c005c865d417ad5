"""Users are led to the replicas: Services find them, and the Ingress leads to those Services."""

from muster.judge import services as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=1)
def test_every_ready_replica_gets_traffic(services, pods):
    judge.assert_every_ready_pod_gets_traffic(services, pods)


@runbook("x0tta6bl4#service-down", step=1)
def test_the_ingress_leads_to_the_service(ingresses, services):
    judge.assert_ingress_leads_somewhere(ingresses, services)
