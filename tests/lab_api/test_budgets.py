"""Quotas, disruption budgets and autoscalers: what the API itself does about them."""

from __future__ import annotations

import concurrent.futures

import pytest

from lab.api.quantities import parse_quantity, quantity_text

POLICY = "/apis/policy/v1/namespaces"
SCALING = "/apis/autoscaling"


def _quota(http, namespace: str, **hard: str) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": {key.replace("__", "."): one for key, one in hard.items()}}}
    answer = http.post(f"/api/v1/namespaces/{namespace}/resourcequotas", json=body)
    assert answer.status_code == 201, answer.text


def test_a_quota_refuses_in_a_real_servers_words(http, namespace, pod):
    """The message says what was asked for, what is used and what the limit is."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    http.post(pods, json=pod("one")).raise_for_status()
    _quota(http, namespace, pods="1")
    refused = http.post(pods, json=pod("two"))
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'pods "two" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )


def test_writers_at_once_do_not_slip_past_a_quota(http, namespace, pod):
    """Of twelve pods created concurrently exactly as many as the quota has room for are there."""
    _quota(http, namespace, pods="5")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda index: http.post(pods, json=pod(f"p{index}")).status_code, range(12)))
    assert sorted(codes) == [201] * 5 + [403] * 7


def test_a_quota_of_compute_wants_every_container_to_say_what_it_needs(http, namespace, pod):
    """Silence is refused; a sum over the limit too, in units that lose nothing."""
    _quota(http, namespace, requests__memory="100Mi", limits__cpu="1")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    silent = http.post(pods, json=pod("one")).json()["message"]
    assert silent.endswith("failed quota: q: must specify limits.cpu for: main; requests.memory for: main")
    body = pod("one")
    needs = {"requests": {"memory": "64Mi"}, "limits": {"cpu": "400m", "memory": "64Mi"}}
    body["spec"]["containers"][0]["resources"] = needs
    http.post(pods, json=body).raise_for_status()
    body["metadata"]["name"] = "two"
    assert (
        http.post(pods, json=body)
        .json()["message"]
        .endswith(
            "exceeded quota: q, requested: requests.memory=64Mi, used: requests.memory=64Mi,"
            " limited: requests.memory=100Mi"
        )
    )


def test_a_quota_counts_objects_of_other_kinds(http, namespace):
    """``count/`` and the short names of old mean the same."""
    _quota(http, namespace, configmaps="1", **{"count/deployments.apps": "0"})
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    http.post(maps, json={"metadata": {"name": "a"}}).raise_for_status()
    message = http.post(maps, json={"metadata": {"name": "b"}}).json()["message"]
    assert message.endswith("exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1")


@pytest.mark.parametrize(
    ("text", "binary", "shown"),
    [("0.5", False, "500m"), ("1500m", False, "1500m"), ("1024Mi", True, "1Gi"), ("3", False, "3"), ("0", True, "0")],
)
def test_sums_are_written_in_the_largest_unit_that_loses_nothing(text, binary, shown):
    """As the API writes quantities."""
    value = parse_quantity(text)
    assert value is not None
    assert quantity_text(value, binary=binary) == shown


# -- disruption budgets


def _ready(http, namespace: str, body: dict) -> str:
    path = f"/api/v1/namespaces/{namespace}/pods/{body['metadata']['name']}"
    made = http.post(path.rpartition("/")[0], json=body).json()
    made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    http.put(f"{path}/status", json=made).raise_for_status()
    return path


def _budget(http, namespace: str, **status) -> str:
    spec = {"minAvailable": 3, "selector": {"matchLabels": {"app": "one"}}}
    path = f"{POLICY}/{namespace}/poddisruptionbudgets"
    made = http.post(path, json={"metadata": {"name": "web"}, "spec": spec}).json()
    made["status"].update(status)
    http.put(f"{path}/web/status", json=made).raise_for_status()
    return f"{path}/web"


def test_an_eviction_that_the_budget_forbids_is_a_429(http, namespace, pod):
    """The words name the budget, what it needs and what there is; the pod stays."""
    path = _ready(http, namespace, pod("one"))
    _budget(http, namespace, observedGeneration=1, currentHealthy=3, desiredHealthy=3)
    refused = http.post(f"{path}/eviction", json={"metadata": {"name": "one", "namespace": namespace}})
    status = refused.json()
    assert (refused.status_code, status["reason"]) == (429, "TooManyRequests")
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert status["details"]["causes"] == [
        {"reason": "DisruptionBudget", "message": "The disruption budget web needs 3 healthy pods and has 3 currently"}
    ]
    assert "deletionTimestamp" not in http.get(path).json()["metadata"]


def test_an_eviction_that_is_allowed_is_charged_at_once(http, namespace, pod):
    """A second eviction right after it finds nothing left, whether or not a controller has looked meanwhile."""
    first = _ready(http, namespace, pod("one"))
    second_body = pod("two")
    second_body["metadata"]["labels"] = {"app": "one"}
    second = _ready(http, namespace, second_body)
    budget = _budget(http, namespace, observedGeneration=1, currentHealthy=4, desiredHealthy=3, disruptionsAllowed=1)
    assert http.post(f"{first}/eviction", json={}).status_code == 201
    assert http.get(first).json()["metadata"]["deletionTimestamp"]
    status = http.get(budget).json()["status"]
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["one"])
    assert http.post(f"{second}/eviction", json={}).status_code == 429


def test_a_budget_that_was_not_counted_yet_refuses(http, namespace, pod):
    """Its client is told when to come back."""
    path = _ready(http, namespace, pod("one"))
    _budget(http, namespace)
    refused = http.post(f"{path}/eviction", json={})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")


@pytest.mark.parametrize("body", [{"deleteOptions": []}, {"metadata": {"name": "other"}}, {"metadata": 5}])
def test_a_malformed_eviction_is_the_clients_mistake(http, namespace, pod, body):
    """Never a 500."""
    path = _ready(http, namespace, pod("one"))
    assert http.post(f"{path}/eviction", json=body).status_code == 400


def test_kubectl_drain_gives_way_to_a_budget(kubectl, http, namespace, pod):
    """It tries, is told why not, and gives up at its own deadline; without the budget the pod goes."""
    node = f"node-{namespace}"
    http.post("/api/v1/nodes", json={"metadata": {"name": node}}).raise_for_status()
    path = _ready(http, namespace, pod("one", nodeName=node))
    budget = _budget(http, namespace, observedGeneration=1, currentHealthy=3, desiredHealthy=3)
    words = kubectl("drain", node, "--force", "--timeout=4s", fails=True)  # time enough to ask once
    assert "Cannot evict pod as it would violate the pod's disruption budget." in words
    http.delete(budget).raise_for_status()
    kubectl("drain", node, "--force", "--timeout=4s", fails=True)  # no agent ends the pod here
    assert http.get(path).json()["metadata"]["deletionTimestamp"]
    http.delete(f"/api/v1/nodes/{node}").raise_for_status()


# -- autoscalers


def test_an_autoscaler_is_one_object_with_two_faces(http, namespace):
    """The percentage of v1 is a metric of v2, in both directions."""
    spec = {"maxReplicas": 4, "targetCPUUtilizationPercentage": 70}
    spec["scaleTargetRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    old = f"{SCALING}/v1/namespaces/{namespace}/horizontalpodautoscalers"
    made = http.post(old, json={"metadata": {"name": "web"}, "spec": spec})
    assert made.status_code == 201, made.text
    assert made.json()["spec"] == {**spec, "minReplicas": 1}
    new = http.get(f"{SCALING}/v2/namespaces/{namespace}/horizontalpodautoscalers/web").json()
    target = {"type": "Utilization", "averageUtilization": 70}
    assert new["spec"]["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    group = http.get("/apis/autoscaling").json()
    assert group["preferredVersion"]["version"] == "v2"


def test_kubectl_makes_and_shows_autoscalers_quotas_and_budgets(kubectl, namespace, deployment):
    """autoscale, create quota, create pdb, and what get says of each."""
    kubectl("create", "-n", namespace, "-f", "-", stdin=deployment("web"))
    kubectl("autoscale", "-n", namespace, "deployment", "web", "--min=2", "--max=4", "--cpu-percent=80")
    row = kubectl("get", "hpa", "-n", namespace, "--no-headers").split()
    assert row[:6] == ["web", "Deployment/web", "cpu:", "<unknown>/80%", "2", "4"]
    kubectl("create", "quota", "q", "-n", namespace, "--hard=pods=10")
    assert kubectl("get", "quota", "-n", namespace).split()[:4] == ["NAME", "REQUEST", "LIMIT", "AGE"]
    kubectl("create", "pdb", "web", "-n", namespace, "--selector=app=web", "--min-available=1")
    assert kubectl("get", "pdb", "-n", namespace, "--no-headers").split()[:4] == ["web", "1", "N/A", "0"]
    for name in ("hpa/web", "quota/q", "pdb/web"):
        assert "deleted" in kubectl("delete", "-n", namespace, name)


def test_autoscalers_that_make_no_sense_are_refused(http, namespace):
    """With the field that is wrong."""
    spec = {"maxReplicas": 1, "minReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    answer = http.post(
        f"{SCALING}/v2/namespaces/{namespace}/horizontalpodautoscalers", json={"metadata": {"name": "a"}, "spec": spec}
    )
    assert answer.status_code == 422
    assert "must be greater than or equal to `minReplicas`" in answer.json()["message"]
