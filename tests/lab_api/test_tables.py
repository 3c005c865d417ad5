"""What ``kubectl get`` shows, computed by the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lab.api import clock, columns
from lab.api.podcells import pod_ready, pod_restarts, pod_status

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _pod(*states, phase="Running", ready=False, **metadata):
    statuses = [{"name": f"c{i}", "ready": ready, "restartCount": 0, "state": state} for i, state in enumerate(states)]
    spec = {"containers": [{"name": f"c{i}"} for i in range(len(states) or 1)]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, "containerStatuses": statuses}}


@pytest.mark.parametrize(
    ("pod", "shown"),
    [
        (_pod(phase="Pending"), "Pending"),
        (_pod({"waiting": {"reason": "ContainerCreating"}}, phase="Pending"), "ContainerCreating"),
        (_pod({"waiting": {"reason": "ImagePullBackOff"}}, phase="Pending"), "ImagePullBackOff"),
        (_pod({"waiting": {"reason": "CrashLoopBackOff"}}), "CrashLoopBackOff"),
        (_pod({"terminated": {"reason": "OOMKilled", "exitCode": 137}}), "OOMKilled"),
        (_pod({"terminated": {"reason": "Error", "exitCode": 1}}), "Error"),
        (_pod({"terminated": {"reason": "Completed", "exitCode": 0}}, phase="Succeeded"), "Completed"),
        (_pod({"terminated": {"exitCode": 3}}), "ExitCode:3"),
        (_pod({"terminated": {"signal": 9}}), "Signal:9"),
        (_pod({"running": {}}, ready=True), "Running"),
        (_pod({"running": {}}, deletionTimestamp="2026-01-02T03:04:05Z"), "Terminating"),
        (_pod({"terminated": {"reason": "Completed"}}, phase="Succeeded", deletionTimestamp="x"), "Completed"),
    ],
)
def test_status_of_a_pod(pod, shown):
    """The reason of a container outranks the phase; a deletion outranks both until the pod has ended."""
    assert pod_status(pod) == shown


def test_ready_and_restarts():
    """Ready counts containers that run; restarts say when the last one ended."""
    pod = _pod({"running": {}}, {"running": {}}, ready=True)
    pod["status"]["containerStatuses"][1]["ready"] = False
    assert (pod_ready(pod), pod_restarts(pod, NOW)) == ("1/2", "0")
    ended = clock.stamp(NOW - timedelta(seconds=34))
    pod["status"]["containerStatuses"][0] |= {"restartCount": 3, "lastState": {"terminated": {"finishedAt": ended}}}
    assert pod_restarts(pod, NOW) == "3 (34s ago)"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"), (135, "2m15s"), (600, "10m"), (10800, "3h"),
        (11100, "3h5m"), (28800, "8h"), (172800, "2d"), (176400, "2d1h"), (864000, "10d"), (63072000, "2y"),
    ],
)  # fmt: skip
def test_ages(seconds, shown):
    """At most two units, coarser as time goes by."""
    assert clock.human(seconds) == shown


def _cells(table, body):
    return [column.cell(body, NOW) for column in table]


def test_cells_of_other_kinds():
    """A row of each kind that has columns of its own."""
    made = {"name": "x", "creationTimestamp": clock.stamp(NOW - timedelta(seconds=5))}
    slices = {"metadata": made, "addressType": "IPv4", "ports": [{"port": 80}],
              "endpoints": [{"addresses": [f"127.0.0.{n}"]} for n in range(1, 6)]}  # fmt: skip
    assert _cells(columns.ENDPOINTSLICES, slices) == [
        "x", "IPv4", "80", "127.0.0.1,127.0.0.2,127.0.0.3 + 2 more...", "5s"]  # fmt: skip
    endpoints = {"metadata": made, "subsets": [{"addresses": [{"ip": "127.1.2.3"}], "ports": [{"port": 8080}]}]}
    assert _cells(columns.ENDPOINTS, endpoints) == ["x", "127.1.2.3:8080", "5s"]
    assert _cells(columns.ENDPOINTS, {"metadata": made})[1] == "<none>"
    node = {"metadata": made, "spec": {"unschedulable": True},
            "status": {"conditions": [{"type": "Ready", "status": "True"}],
                       "nodeInfo": {"kubeletVersion": "v1"}}}  # fmt: skip
    assert _cells(columns.NODES, node)[:5] == ["x", "Ready,SchedulingDisabled", "<none>", "5s", "v1"]
    event = {"metadata": made, "type": "Normal", "reason": "R", "message": "m ", "source": {"component": "c"},
             "involvedObject": {"kind": "Pod", "name": "p"}, "lastTimestamp": made["creationTimestamp"]}  # fmt: skip
    assert _cells(columns.EVENTS, event) == ["5s", "Normal", "R", "pod/p", "", "c", "m", "<unknown>", 1, "x"]
    ingress = {"metadata": made, "spec": {"ingressClassName": "nginx", "rules": [{"host": "a"}, {"host": "b"}]}}
    assert _cells(columns.INGRESSES, ingress) == ["x", "nginx", "a,b", "", "80", "5s"]


def test_a_table_carries_what_was_asked_for(http, namespace):
    """Metadata by default, the object or nothing on request."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    http.post(path, json={"metadata": {"name": "a"}, "data": {"k": "v"}})
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}

    def row(**params):
        body = http.get(path, params=params, headers=headers).json()
        assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        return body["rows"][0]

    assert row()["object"]["kind"] == "PartialObjectMetadata"
    assert row(includeObject="Object")["object"]["data"] == {"k": "v"}
    assert "object" not in row(includeObject="None")
    assert http.get(f"{path}/a", headers=headers).json()["rows"][0]["cells"][:2] == ["a", 1]
