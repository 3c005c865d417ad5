"""The responder on a running lab, as the account that the committed manifests make: real traffic, real pages."""

import json
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml
from responder_here import patient

from lab import daemon
from muster.errors import Unknown
from muster.kube import JSON_PATCH, MERGE, Kube, KubeError, load_access
from muster.release import Monitor
from muster.responder.audit import Audit
from muster.responder.engine import Responder
from muster.responder.webhook import Alert
from muster.system import load_environment, load_system
from muster.system.promql import fill
from muster.system.rollback import Rollback
from muster.wait import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "responder"
NS, STABLE = "x0tta6bl4-staging", "x0tta6bl4-staging"
CANARY = f"{STABLE}-canary"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NS}/deployments/{CANARY}"
INGRESS = f"/apis/networking.k8s.io/v1/namespaces/{NS}/ingresses/{CANARY}"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
NOT_IN_THE_LAB = {"PersistentVolumeClaim"}  # its pods keep nothing


def kubectl(lab, *words, **options):
    argv = ["kubectl", "--kubeconfig", lab["kubeconfig"], *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, **options)


@pytest.fixture(scope="module")
def place(lab):
    """System and environment of the lab, rolled back by aborting the canary, its alerts reading both releases."""
    before = os.environ.get("LAB_STATE")
    os.environ["LAB_STATE"] = lab["state"]
    try:
        system = load_system("x0tta6bl4")
        env = load_environment(system, "lab")
    finally:
        os.environ.pop("LAB_STATE") if before is None else os.environ.update(LAB_STATE=before)
    rollback = Rollback.model_validate({"strategy": "canary", "canary": {"ingress": CANARY, "deployment": CANARY}})
    both = f'namespace="{NS}",app=~"{STABLE}|{CANARY}"'
    return system, env.model_copy(update={"rollback": rollback, "metric_selector": both})


@pytest.fixture(scope="module")
def granted(lab):
    """Account and roles of deploy/responder in force; the rest of it was taken by the API in a dry run."""
    taken, roles = [], []
    for name in ("responder.yaml", "canary.yaml"):
        for one in yaml.safe_load_all((DEPLOY / name).read_text()):
            if one["kind"] in {"ServiceAccount", "Role", "RoleBinding"}:
                roles.append(one)
            elif one["kind"] not in NOT_IN_THE_LAB:
                taken.append(one)
    told = kubectl(lab, "apply", "-f", "-", input=yaml.safe_dump_all(roles))
    assert told.returncode == 0, told.stderr
    dry = kubectl(lab, "apply", "--dry-run=server", "-f", "-", input=yaml.safe_dump_all(taken))
    yield dry
    kubectl(lab, "delete", "-f", "-", input=yaml.safe_dump_all(roles))


@pytest.fixture(scope="module")
def session(lab, granted, tmp_path_factory):
    """A session as that account."""
    made = kubectl(lab, "-n", NS, "create", "token", "muster-respond")
    assert made.returncode == 0, made.stderr
    config = yaml.safe_load(Path(lab["kubeconfig"]).read_text())
    for user in config["users"]:
        user["user"] = {"token": made.stdout.strip()}
    file = tmp_path_factory.mktemp("account") / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    with Kube(load_access(file), timeout_s=60) as kube:
        yield kube


@pytest.fixture
def responder(place, session, tmp_path):
    """One in this process, with that session."""
    system, env = place
    audit = Audit(tmp_path / "audit.jsonl")
    with patient(), Monitor(env) as monitor:
        given = {"system": system, "env": env, "source": env.kubernetes, "kube": session, "monitor": monitor}
        yield Responder(**given, audit=audit, me="tests/127.0.0.1:1")
    audit.close()


def test_manifests_are_taken_by_the_api(granted):
    """Every object but those that the lab does not have, by a dry run on the server."""
    assert granted.returncode == 0, granted.stderr
    assert "deployment.apps/muster-respond created (server dry run)" in granted.stdout


@pytest.mark.parametrize(
    ("words", "may"),
    [
        (["patch", f"deployments/{STABLE}"], True),
        (["patch", f"deployments/{CANARY}"], True),
        (["patch", f"ingresses/{CANARY}"], True),
        (["patch", "deployments/another"], False),
        (["delete", f"deployments/{STABLE}"], False),
        (["patch", f"ingresses/{STABLE}"], False),
        (["get", "secrets"], False),
        (["create", "pods"], False),
        (["create", "pods/exec"], False),
        (["delete", "pods"], False),
        (["update", "leases/another"], False),
    ],
)
def test_account_may_do_what_a_rollback_needs_and_no_more(lab, granted, words, may):
    """As `kubectl auth can-i` says."""
    account = f"system:serviceaccount:{NS}:muster-respond"
    told = kubectl(lab, "-n", NS, "auth", "can-i", *words, "--as", account)
    assert told.stdout.strip() == ("yes" if may else "no"), told.stderr


@pytest.fixture
def nobody_else(lab):
    """The lab's own responder does not listen: it would act on the same alert."""
    daemon.stop(lab["state"], "responder")
    yield
    daemon.start(lab["state"], "responder")


@pytest.fixture
def bad_canary(lab, place, nobody_else):
    """All that the canary serves fails, and it serves 40% of the users; all put back."""
    system, env = place
    with Kube(load_access(lab["kubeconfig"]), timeout_s=60) as kube, Monitor(env) as monitor:
        before = kube.get(DEPLOYMENT)["spec"]
        container = {"name": "x0tta6bl4", "env": [{"name": "FAULT_ERROR_RATIO", "value": "1"}]}
        kube.patch(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [container]}}}})
        kube.patch(INGRESS, {"metadata": {"annotations": {WEIGHT: "40"}}}, kind=MERGE)
        slo = system.slo["error_ratio"]
        wait_until(
            lambda: monitor.value(fill(slo.query, env, slo.window), timeout_s=2),
            lambda ratio: ratio > 0.1,
            what="the canary's errors were not seen",
            timeout_s=40,
            tolerate=(Unknown,),
        )
        yield kube
        kube.patch(INGRESS, {"metadata": {"annotations": {WEIGHT: "0"}}}, kind=MERGE)
        template = [{"op": "replace", "path": "/spec/template", "value": before["template"]}]
        replicas = {"op": "replace", "path": "/spec/replicas", "value": before["replicas"]}
        kube.patch(DEPLOYMENT, [*template, replicas], kind=JSON_PATCH)
        wait_until(
            lambda: kube.get(DEPLOYMENT)["status"].get("availableReplicas", 0),
            lambda count: count == before["replicas"],
            what="the canary did not come back",
            timeout_s=40,
        )


def an_alert(env):
    starts_at = datetime.fromtimestamp(time.time() + 10, UTC).isoformat().replace("+00:00", "Z")
    labels = {"alertname": "X0TTA6BL4ErrorRatioRollback", "action": "rollback"}
    labels |= {"system": "x0tta6bl4", "environment": env.name}
    return Alert(name=labels["alertname"], status="firing", fingerprint="f1", starts_at=starts_at, labels=labels)


def test_bad_canary_is_compared_aborted_and_its_users_are_served_again(responder, place, bad_canary):
    """Real users through a real proxy: the errors are the canary's alone, they end, and no stable pod is touched."""
    stable = f"/apis/apps/v1/namespaces/{NS}/deployments/{STABLE}"
    generation = bad_canary.get(stable)["metadata"]["generation"]
    began = time.time()
    assert responder.handle(an_alert(place[1])) is True
    records = {record["kind"]: record for record in responder.audit.since(0)}
    comparison = records["decided"]["data"]["comparison"]
    assert comparison["blames"] is True, records["decided"]["message"]
    assert comparison["release"] > 0.9
    assert comparison["baseline"] < 0.01
    assert records["rollback.proven"]["data"]["verdict"] == "PASS", records["rollback.proven"]["message"]
    assert records["symptom.gone"]["data"]["verdict"] == "PASS", records["symptom.gone"]["message"]
    assert records["decided"]["at"] - began < 10  # bounded, comparison included; on a machine that may stand still
    assert bad_canary.get(INGRESS)["metadata"]["annotations"][WEIGHT] == "0"
    assert bad_canary.get(DEPLOYMENT)["spec"]["replicas"] == 0
    assert bad_canary.get(stable)["metadata"]["generation"] == generation
    events = bad_canary.get(f"/api/v1/namespaces/{NS}/events")["items"]
    ours = [event for event in events if event["source"].get("component") == "muster-respond"]
    assert {"RollingBack", "RolledBack", "SymptomGone"} <= {event["reason"] for event in ours}
    assert all(event["involvedObject"].get("uid") for event in ours)  # kubectl describe selects by it
    assert responder.observe() is True  # what it remembers it may write, too


def test_failed_rollback_pages_whom_the_facts_name_over_the_rendered_routes(lab, responder):
    """The real Alertmanager, the rendered routes, the pager's own receipts: on-call and the team lead."""
    since = time.time()
    escalation = responder.escalation
    escalation.page("X0TTA6BL4ErrorRatioRollback", "a-test", "the rollback changed nothing")
    undelivered = lambda: escalation.retry() or escalation.pending  # noqa: E731
    wait_until(undelivered, lambda left: not left, what="nobody was paged", timeout_s=20)

    def told():
        answer = httpx.get(f"{lab['sink']}/inbox", params={"since": since}, trust_env=False).json()["messages"]
        return {(one["to"], one["alert"]) for one in answer if one["action"] == "trigger"}

    wanted = {("on-call", "MusterRollbackFailed"), ("team-lead", "MusterRollbackFailed")}
    wait_until(told, lambda seen: wanted <= seen, what="nobody was paged", timeout_s=20)


def test_health_of_the_labs_own_responder_tells_of_api_and_lock(lab):
    """What a readiness probe and a rule can stand on."""
    assert httpx.get(f"{lab['responder']}/readyz", trust_env=False).status_code == 200
    answer = httpx.get(f"{lab['responder']}/healthz", trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.json()["lock"]["seen_s_ago"] < 10
    metrics = httpx.get(f"{lab['responder']}/metrics", trust_env=False)
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert "muster_responder_api_silent_seconds" in metrics.text


def test_account_reaches_nothing_else(session):
    """A token of the responder is no key to secrets."""
    with pytest.raises(KubeError) as refused:
        session.get(f"/api/v1/namespaces/{NS}/secrets")
    assert refused.value.status == 403
    assert json.dumps(str(refused.value)).count("muster-respond") == 1
