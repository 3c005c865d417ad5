"""Where people look for what the responder decided: stock kubectl's description of the Deployment."""

import os
import shutil
import subprocess

import pytest

from muster.responder.events import post_event


@pytest.fixture
def describe(shop):
    """What ``kubectl describe deployment/web`` says."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH: install the client of Kubernetes to run the tests that it judges")

    def _describe():
        argv = [program, "--kubeconfig", str(shop.api), "-n", shop.namespace, "describe", "deployment/web"]
        environ = {"HOME": str(shop.folder), "PATH": os.environ["PATH"]}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environ, check=True)
        return done.stdout.partition("\nEvents:")[2]

    return _describe


def test_decision_stands_in_the_description_of_the_deployment(shop, describe):
    """As the runbook says: why a rollback was refused, and by whom it is told."""
    source = shop.env.kubernetes
    post_event(shop.kube, source, "RollbackRefused", "ErrorRatio: there is no previous revision")
    (line,) = [line for line in describe().splitlines() if "RollbackRefused" in line]
    assert line.split()[0] == "Warning"
    assert "muster-respond" in line
    assert "ErrorRatio: there is no previous revision" in line


def test_decision_about_a_deployment_of_the_same_name_before_it_does_not(shop, describe):
    """The client selects by uid: so does this API, or the test above would prove nothing."""
    post_event(shop.kube, shop.env.kubernetes, "RollbackRefused", "of the one before")
    shop.kube.delete(shop.path)
    shop.create()
    assert "of the one before" not in describe()


def test_deployment_that_is_not_there_has_its_event_all_the_same(shop):
    """`kubectl get events` shows it: nobody is left without a reason."""
    source = shop.env.kubernetes.model_copy(update={"deployment": "gone"})
    post_event(shop.kube, source, "RollbackRefused", "it is gone")
    (event,) = [
        event
        for event in shop.kube.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"]
        if event["reason"] == "RollbackRefused"
    ]
    assert event["involvedObject"]["name"] == "gone"
    assert "uid" not in event["involvedObject"]
