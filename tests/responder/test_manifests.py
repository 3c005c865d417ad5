"""`deploy/responder` and the shipped facts of ``staging`` are one place: the same names, addresses, paths."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from muster.system import load_environment

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "responder"


@pytest.fixture(scope="module")
def manifests():
    """``responder.yaml``: kind -> object."""
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "responder.yaml").read_text())}


@pytest.fixture
def container(manifests):
    """The responder's container, with its environment by name."""
    (found,) = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    return found | {"env": {one["name"]: one["value"] for one in found["env"]}}


@pytest.fixture
def staging(system, container, monkeypatch):
    """The facts as the responder reads them in its pod."""
    for name, value in container["env"].items():
        monkeypatch.setenv(name, value)
    for name in ("X0TTA6BL4_RESPONDER", "X0TTA6BL4_RESPONDER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return load_environment(system, "staging")


def test_facts_find_their_context_in_the_pods_kubeconfig(staging, manifests, container):
    """As on the machine that drills: the environment is one, and only $KUBECONFIG differs."""
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert staging.kubernetes.kubeconfig == f"{mounts['kubeconfig']}/kubeconfig"
    config = yaml.safe_load(manifests["ConfigMap"]["data"]["kubeconfig"])
    assert staging.kubernetes.context in [one["name"] for one in config["contexts"]]
    assert config["current-context"] == staging.kubernetes.context


def test_it_is_started_for_that_system_and_environment(system, staging, container):
    """Not for another one."""
    assert {f"--system={system.name}", f"--env={staging.name}"} <= set(container["args"])


def test_alertmanager_and_drills_find_its_service(staging, manifests):
    """The address of the facts is the Service's; the part of a configuration of one's own says the same."""
    service = manifests["Service"]
    address = urlsplit(staging.responder)
    assert address.hostname == f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert address.port in [one["port"] for one in service["spec"]["ports"]]
    part = yaml.safe_load((DEPLOY / "alertmanager.yaml").read_text())
    (hook,) = part["receivers"][0]["webhook_configs"]
    assert hook["url"] == f"{staging.responder}/alerts"
    assert hook["http_config"]["authorization"]["credentials_file"] == staging.responder_token_file


def test_it_may_look_after_the_workload_of_the_facts(staging, manifests):
    """Permissions are bound to names: a renamed Deployment would be one that it may not undo."""
    where = {one["metadata"]["namespace"] for one in manifests.values() if one["kind"] in {"Role", "Deployment"}}
    assert where == {staging.kubernetes.namespace}
    named = {name for rule in manifests["Role"]["rules"] for name in rule.get("resourceNames", [])}
    assert {staging.kubernetes.deployment, f"muster-rollback-{staging.kubernetes.deployment}"} <= named


def test_its_probe_asks_whether_it_could_act(container):
    """Not whether all is well: a page that nobody takes would take it out of its Service."""
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
