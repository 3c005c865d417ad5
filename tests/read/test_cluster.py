"""Readings around the workload, from answers that a lab does not give: pages, gaps, objects that go meanwhile."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from patient import take

from muster.read import inside, logs
from muster.snapshot import FailureKind
from muster.system.expectations import Logs
from muster.workload import selects

NS = "/api/v1/namespaces/ns"
POD = f"{NS}/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/ns/deployments/app"
LOGS = Logs(window="5m", bursts=[{"name": "errors", "pattern": "ERROR", "most": 9, "runbook": "tiny#e", "source": "t"}])


def app(**labels):
    return {
        "metadata": {"name": "app", "namespace": "ns"},
        "spec": {
            "replicas": 1,
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
        },
    }


def forbidden(what):
    return 403, {"kind": "Status", "message": f"{what} is forbidden: you cannot list it", "reason": "Forbidden"}


@pytest.mark.parametrize(
    ("name", "path", "more"),
    [
        ("events", f"{NS}/events", {}),
        ("quotas", f"{NS}/resourcequotas", {}),
        ("autoscalers", "/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers", {}),
        ("budgets", "/apis/policy/v1/namespaces/ns/poddisruptionbudgets", {DEPLOYMENT: app(app="app")}),
        (
            "ingresses",
            "/apis/networking.k8s.io/v1/namespaces/ns/ingresses",
            {
                DEPLOYMENT: app(app="app"),
                f"{NS}/services": {"items": []},
                "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices": {"items": []},
            },
        ),
    ],
)
def test_what_may_not_be_listed_is_forbidden_and_what_is_not_served_is_not_found(
    read, environment, serve, workload, name, path, more
):
    """Whoever reads the finding can act on it: a role is missing, or the API has no such kind."""
    here = environment(kubernetes=workload(serve({**more, path: forbidden(name)}).url, 1))
    found = read(here, name).failure
    assert (found.kind, "cannot list it" in found.message) == (FailureKind.FORBIDDEN, True)
    gone = {"kind": "Status", "message": "the server could not find the requested resource", "reason": "NotFound"}
    here = environment(kubernetes=workload(serve({**more, path: (404, gone)}).url, 1))
    assert read(here, name).failure.kind is FailureKind.NOT_FOUND


def test_a_node_that_goes_meanwhile_is_said_to_be_gone(read, environment, serve, workload, pod):
    """The pod is still bound to it; the others are read."""
    node = {"metadata": {"name": "m"}, "spec": {"unschedulable": True}, "status": {"conditions": []}}
    there = {
        POD: {"items": [pod("a"), {**pod("b"), "spec": {"containers": [{"name": "app"}], "nodeName": "m"}}]},
        "/api/v1/nodes": {"items": [node], "metadata": {"remainingItemCount": 4}},
        "/api/v1/nodes/m": node,
        "/api/v1/nodes/node": (404, {"kind": "Status", "message": 'nodes "node" not found', "reason": "NotFound"}),
    }
    value = read(environment(kubernetes=workload(serve(there).url, 1)), "nodes").value
    assert value["total"] == 5
    found = [(entry["name"], entry["exists"], entry["cordoned"]) for entry in value["nodes"]]
    assert found == [("m", True, True), ("node", False, False)]


def test_events_of_every_age_of_the_api_have_their_time(read, environment, serve, workload):
    """lastTimestamp, a series, or eventTime alone; what is about something else is left out."""

    def event(name, kind="Pod", **more):
        return {"involvedObject": {"kind": kind, "name": name}, "reason": "R", "message": "m" * 999, **more}

    items = [
        event("app-7c9f-abcde", lastTimestamp="2026-01-01T00:00:03Z", count=2),
        event("app-7c9f", "ReplicaSet", eventTime="2026-01-01T00:00:01.500000Z"),
        event("app", "Deployment", series={"count": 5, "lastObservedTime": "2026-01-01T00:00:09Z"}),
        event("app-canary-7c9f-abcde"),
        event("app", "Service"),
        event("other-7c9f-abcde"),
    ]
    value = read(environment(kubernetes=workload(serve({f"{NS}/events": {"items": items}}).url, 1)), "events").value
    assert [(one["name"], one["count"], one["last"] - 1767225600) for one in value] == [
        ("app-7c9f", 1, 1.5), ("app-7c9f-abcde", 2, 3.0), ("app", 5, 9.0),
    ]  # fmt: skip
    assert {len(one["message"]) for one in value} == {400}


def test_only_what_selects_the_pods_is_read(read, environment, serve, workload):
    """By labels, as the controllers do; a Service without a selector leads wherever somebody pointed it."""

    def named(name, **spec):
        return {"metadata": {"name": name, "generation": 2}, "spec": spec, "status": {"observedGeneration": 1}}

    there = {
        DEPLOYMENT: app(app="app", tier="front"),
        "/apis/policy/v1/namespaces/ns/poddisruptionbudgets": {
            "items": [
                named("mine", selector={"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]}),
                named("everybody", selector={}),
                named("other", selector={"matchLabels": {"app": "other"}}),
                named("nobody"),
            ]
        },
        f"{NS}/services": {
            "items": [named("s", selector={"app": "app"}), named("t", selector={"app": "t"}), named("u")]
        },
        "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices": {
            "items": [
                {
                    "metadata": {"labels": {"kubernetes.io/service-name": service}},
                    "endpoints": [
                        {"conditions": {"ready": ready}, "targetRef": {"name": pod}} for pod, ready in pods.items()
                    ],
                }
                for service, pods in (("s", {"a": True, "b": False}), ("s", {"c": None}), ("t", {"d": True}))
            ]
        },
    }
    here = environment(kubernetes=workload(serve(there).url, 1))
    assert [(one["name"], one["seen"]) for one in read(here, "budgets").value] == [
        ("everybody", False),
        ("mine", False),
    ]
    assert [(one["name"], one["ready"]) for one in read(here, "services").value] == [("s", ["a", "c"])]


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "1", "b": "1"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["2"]}]}, True),
        ({"matchExpressions": [{"key": "z", "operator": "NotIn", "values": ["2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "z", "operator": "In", "values": ["2"]}]}, False),
    ],
)
def test_label_selectors_match_as_the_api_says(selector, matches):
    """Absent labels are not in a set, and are outside of it."""
    assert selects(selector, {"a": "1"}) is matches


# ---- logs


@pytest.fixture
def looking(system):
    """The system with one burst to look for."""
    return system.model_copy(update={"logs": LOGS})


def test_a_crashed_container_is_read_with_its_run_before(environment, serve, workload, pod, looking):
    """What it said last is in the run that ended; one that never started has said nothing."""
    crashed, fresh, waiting = pod("a"), pod("b"), pod("c")
    now = dt.datetime.now(dt.UTC).isoformat()
    crashed["status"]["containerStatuses"][0] |= {"restartCount": 1, "lastState": {"terminated": {"finishedAt": now}}}
    waiting["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    there = {
        POD: {"items": [crashed, fresh, waiting]},
        f"{POD}/a/log": lambda query: b"ERROR 1\nERROR password=hunter2\n" if "previous=true" in query else b"fine\n",
        f"{POD}/b/log": b"an ERROR\nnone\n",
    }
    server = serve(there)
    here = environment(kubernetes=workload(server.url, 1))
    value = take(looking, here, ["logs"]).readings["logs"].value
    assert (value["running"], set(value["replicas"])) == (2, {"a", "b"})
    errors = value["replicas"]["a"]["bursts"]["errors"]
    assert errors["count"] == 2
    assert errors["samples"][0] == "ERROR 1"
    assert "hunter2" not in str(value)
    assert value["replicas"]["b"]["lines"] == 2
    assert all("sinceSeconds=300" in path and "limitBytes=1048576" in path for path in server.asked if "/log" in path)


def test_one_log_that_is_refused_does_not_hide_the_others(environment, serve, workload, pod, looking):
    """Forbidden, or its pod is gone: said of that replica, in the server's words."""
    gone = {"kind": "Status", "message": 'pods "b" not found', "reason": "NotFound"}
    there = {
        POD: {"items": [pod("a"), pod("b"), pod("c")]},
        f"{POD}/a/log": b"",
        f"{POD}/b/log": (404, gone),
        f"{POD}/c/log": forbidden("pods/log"),
    }
    here = environment(kubernetes=workload(serve(there).url, 1))
    replicas = take(looking, here, ["logs"]).readings["logs"].value["replicas"]
    assert replicas["a"]["lines"] == 0
    assert replicas["b"]["failure"] == {
        "kind": "not_found",
        "message": f'Kubernetes API: GET {POD}/b/log: pods "b" not found',
    }
    assert replicas["c"]["failure"]["kind"] == "forbidden"


def test_nothing_to_look_for_is_undeclared_and_nobody_to_ask_is_empty(read, environment, serve, workload, pod, looking):
    """The first is a skip; the second is unknown."""
    waiting = pod("c")
    waiting["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    here = environment(kubernetes=workload(serve({POD: {"items": [waiting]}}).url, 1))
    assert read(here, "logs").failure.kind is FailureKind.UNDECLARED
    found = take(looking, here, ["logs"]).readings["logs"].failure
    assert (found.kind, "no pod has started its container app" in found.message) == (FailureKind.EMPTY, True)


def test_a_log_of_any_bytes_is_counted_and_a_long_one_is_said_to_be_cut():
    """Not UTF-8, endless lines, more than the limit: nothing breaks, and only a little is kept."""
    found = logs.summary([b"\xff ERROR \n" + b"ERROR" * 1000 + b"\n", b"x\n" * (logs.LIMIT_BYTES // 2)], LOGS.bursts)
    assert (found["lines"], found["cut"]) == (2 + logs.LIMIT_BYTES // 2, True)
    assert found["bursts"]["errors"]["count"] == 2
    assert [len(sample) for sample in found["bursts"]["errors"]["samples"]] == [8, 300]


# ---- certificates


def certificate(days):
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_every_certificate_of_a_folder_is_read_and_a_broken_file_is_named():
    """A chain in one file, a file that is none, one cut in the middle; names with blanks."""
    chain, cut = certificate(30) + certificate(60), certificate(1)[:200]
    text = f"a b.crt\nbad.crt\ntls.crt\ntls.key\n\n== a b.crt\n{chain}\n== bad.crt\nhello\n\n== tls.crt\n{cut}\n"
    found = inside.parse_folder(text)
    assert found["files"] == ["a b.crt", "bad.crt", "tls.crt", "tls.key"]
    assert [(one["file"], (one["until"] - one["from"]) / 86400) for one in found["certificates"]] == [
        ("a b.crt", 30.0), ("a b.crt", 60.0),
    ]  # fmt: skip
    assert found["broken"] == ["bad.crt", "tls.crt"]
    assert inside.parse_folder("") == {"files": [], "certificates": [], "broken": []}


def test_where_commands_may_not_be_run_nothing_is_looked_into(read, environment, serve, workload):
    """Without "exec: true" no request is made: a skip that says what is missing."""
    server = serve({})
    here = environment(kubernetes=workload(server.url, 1))
    for name in ("modules", "certificates"):
        found = read(here, name).failure
        assert (found.kind, "kubernetes.exec" in found.message) == (FailureKind.UNDECLARED, True)
    assert server.asked == []
