"""The workload is read from the Kubernetes API, cut down to what is judged."""

from urllib.parse import parse_qs

from muster.snapshot import FailureKind

PODS = "/api/v1/namespaces/ns/pods"
SETS = "/apis/apps/v1/namespaces/ns/replicasets"


def test_every_page_of_a_list_is_read(read, environment, serve, workload, pod):
    """A list in pages is followed to its end; half a list proves nothing."""

    def page(query):
        if "continue" in parse_qs(query):
            return {"items": [pod("b")], "metadata": {}}
        return {"items": [pod("a")], "metadata": {"continue": "more"}}

    api = serve({PODS: page})
    assert [entry["name"] for entry in read(environment(kubernetes=workload(api.url, 1)), "pods").value] == ["a", "b"]


def test_an_expired_page_is_a_failed_reading(read, environment, serve, workload, pod):
    """410 in the middle of a list is not the end of it."""

    def page(query):
        if "continue" in parse_qs(query):
            return 410, {"kind": "Status", "message": "too old", "reason": "Expired"}
        return {"items": [pod("a")], "metadata": {"continue": "more"}}

    found = read(environment(kubernetes=workload(serve({PODS: page}).url, 1)), "pods").failure
    assert found.kind is FailureKind.HTTP_STATUS
    assert "too old" in found.message


def test_a_refused_token_is_forbidden_in_the_servers_words(read, environment, serve, workload):
    """403 becomes 'forbidden' and keeps what the server said."""
    status = {"kind": "Status", "message": 'pods is forbidden: User "x" cannot list', "reason": "Forbidden"}
    found = read(environment(kubernetes=workload(serve({PODS: (403, status)}).url, 1)), "pods").failure
    assert found.kind is FailureKind.FORBIDDEN
    assert "cannot list" in found.message


def test_no_pod_at_all_is_empty(read, environment, serve, workload):
    """A selector that matches nothing is a failed reading: there is nothing to judge."""
    found = read(environment(kubernetes=workload(serve({PODS: {"items": []}}).url, 1)), "pods").failure
    assert found.kind is FailureKind.EMPTY


def test_a_crashed_container_says_why(read, environment, serve, workload, pod):
    """Waiting reason and last exit are kept."""
    crashed = pod("a")
    crashed["status"]["containerStatuses"][0] |= {
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T00:00:10Z"}},
    }
    api = serve({PODS: {"items": [crashed]}})
    container = read(environment(kubernetes=workload(api.url, 1)), "pods").value[0]["containers"][0]
    assert container["waiting"] == "CrashLoopBackOff"
    assert container["last_exit"] == {"code": 137, "reason": "OOMKilled", "at": 1767225610.0}


def test_only_own_replicasets_are_kept_in_order_of_revision(read, environment, serve, workload):
    """ReplicaSets of other Deployments that share a label are not ours."""

    def entry(name, owner, revision):
        return {
            "metadata": {
                "name": name,
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [{"kind": "Deployment", "name": owner, "controller": True}],
            },
            "spec": {"template": {"spec": {"containers": [{"image": f"app:{revision}"}]}}},
        }

    api = serve({SETS: {"items": [entry("c", "app", "10"), entry("a", "app", "2"), entry("b", "other", "1")]}})
    sets = read(environment(kubernetes=workload(api.url, 1)), "replicasets").value
    assert [(item["name"], item["revision"], item["images"]) for item in sets] == [
        ("a", 2, ["app:2"]),
        ("c", 10, ["app:10"]),
    ]


def test_replicaset_says_what_it_was_first_and_whether_a_drill_withdrew_it(read, environment, serve, workload):
    """A mark that names another template was copied there, and says nothing of this one."""

    def entry(number, mark):
        notes = {
            "deployment.kubernetes.io/revision": str(number),
            "deployment.kubernetes.io/revision-history": f"{number - 4},{number - 2}",
            "muster.dev/withdrawn": f"{mark} bad release of fault f",
        }
        return {
            "metadata": {
                "name": str(number),
                "labels": {"pod-template-hash": f"h{number}"},
                "annotations": notes,
                "ownerReferences": [{"kind": "Deployment", "name": "app", "controller": True}],
            },
            "spec": {"template": {"spec": {"containers": [{"image": "app:1"}]}}},
        }

    api = serve({SETS: {"items": [entry(5, "h6"), entry(6, "h6")]}})
    sets = read(environment(kubernetes=workload(api.url, 1)), "replicasets").value
    assert [(item["first_revision"], item["withdrawn"]) for item in sets] == [(1, ""), (2, "bad release of fault f")]


def test_a_missing_kubeconfig_is_a_sentence(read, environment, workload, tmp_path):
    """A kubeconfig that does not exist is one sentence in the reading, never a traceback."""
    source = {**workload("http://127.0.0.1:1", 1), "kubeconfig": str(tmp_path / "none")}
    found = read(environment(kubernetes=source), "pods").failure
    assert found.message == f"kubeconfig {tmp_path / 'none'} does not exist"
