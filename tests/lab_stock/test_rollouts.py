"""Rollouts as people drive them with stock kubectl: good ones, bad ones, and the way back."""

import json
import re

import pytest

pytestmark = pytest.mark.xdist_group("lab_stock")

HEADER = ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
DONE = 'deployment "web" successfully rolled out'
STUCK = 'error: deployment "web" exceeded its progress deadline\n'
STATUS = "rollout status deployment/web --timeout=30s"


def history(k):
    return [line.split(maxsplit=1) for line in k("rollout history deployment/web").splitlines()[2:] if line]


def finished(k):
    assert k(STATUS).splitlines()[-1] == DONE


def back(k):
    """Undo, and wait for the controller to have seen it: status right after undo may still see the old object."""
    assert k("rollout undo deployment/web") == "deployment.apps/web rolled back\n"
    k.observed()
    finished(k)


def test_a_release_its_history_and_the_way_back(shop, wait_until):
    """Revisions move on undo, with their cause; `skipped` and missing ones are told; a restart is a revision."""
    assert shop("set image deployment/web web=lab.test/web:2") == "deployment.apps/web image updated\n"
    *waited, done = shop(STATUS).splitlines()
    assert done == DONE
    words = r'Waiting for deployment ("web" rollout to finish: \d (out of 3 new|of 3 updated|old)|spec update) .*'
    assert all(re.fullmatch(words, line) for line in waited), waited
    cause = ["annotate", "deployment/web", "kubernetes.io/change-cause=image 2"]
    assert shop(cause) == "deployment.apps/web annotated\n"
    wait_until(lambda: history(shop) == [["1", "<none>"], ["2", "image 2"]], "the cause in the history")
    shop("scale deployment/web --replicas=1")  # from here on quicker
    first = shop("rollout history deployment/web --revision=1")
    for pattern in (r"deployment.apps/web with revision #1\n", r"pod-template-hash=\w+\n", r"Image:\tlab.test/web:1\n",
                    r"LOG_LEVEL:\tinfo\n"):  # fmt: skip
        assert re.search(pattern, first), pattern
    assert shop.fails("rollout history deployment/web --revision=9") == "error: unable to find the specified revision\n"
    back(shop)
    assert [row[0] for row in history(shop)] == ["2", "3"]
    skipped = shop("rollout undo deployment/web --to-revision=3")
    assert skipped == "deployment.apps/web skipped rollback (current template already matches revision 3)\n"
    for gone in (1, 99):
        words = f"error: unable to find specified revision {gone} in history\n"
        assert shop.fails(f"rollout undo deployment/web --to-revision={gone}") == words
    assert shop("rollout undo deployment/web --to-revision=2") == "deployment.apps/web rolled back\n"
    finished(shop)
    assert shop.json("get deployment web")["spec"]["template"]["spec"]["containers"][0]["image"] == "lab.test/web:2"
    assert shop("rollout restart deployment/web") == "deployment.apps/web restarted\n"
    finished(shop)
    assert history(shop) == [["3", "<none>"], ["4", "image 2"], ["5", "image 2"]]


def test_pause_and_resume(shop):
    """A paused deployment takes changes but rolls nothing out, and may be neither undone nor restarted."""
    shop("rollout restart deployment/web")
    finished(shop)
    assert shop("rollout pause deployment/web") == "deployment.apps/web paused\n"
    shop("set image deployment/web web=lab.test/web:2")
    shop.observed()
    waiting = shop.run("rollout status deployment/web --timeout=4s")
    assert set(waiting.out.splitlines()) == {
        'Waiting for deployment "web" rollout to finish: 0 out of 3 new replicas have been updated...'
    }
    assert (waiting.code, waiting.err) == (1, "error: timed out waiting for the condition\n")
    undo = (
        "error: you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again\n"
    )
    assert shop.fails("rollout undo deployment/web") == undo
    restart = 'error: deployments.apps "web" can\'t restart paused deployment (run rollout resume first)\n'
    assert shop.fails("rollout restart deployment/web") == restart
    assert shop("rollout resume deployment/web") == "deployment.apps/web resumed\n"
    finished(shop)


def test_an_image_that_is_not_there(shop, wait_until):
    """Stuck after the deadline: READY stays 3/3 and Available holds, while Progressing and the new pod say why not."""
    with shop.deadline(6):
        shop("set image deployment/web web=lab.test/web:missing")
        stuck = shop.run("rollout status deployment/web --timeout=25s")
    assert (stuck.code, stuck.err) == (1, STUCK)
    last = 'Waiting for deployment "web" rollout to finish: 1 out of 3 new replicas have been updated...'
    assert stuck.out.splitlines()[-1] == last
    assert shop.fails("rollout status deployment/web --watch=false") == STUCK
    assert shop.table("get deployment web")[1] == ["web", "3/3", "1", "3", "AGE"]
    wait_until(lambda: "ImagePull" in shop("get pods"), "a pod without its image")
    rows = shop.table("get pods")
    (bad,) = (row for row in rows[1:] if row[1] == "0/1")
    assert bad[2] in {"ErrImagePull", "ImagePullBackOff"}
    assert sum(row[1:3] == ["1/1", "Running"] for row in rows) == 3
    described = shop("describe deployment web")
    for pattern in (r"3 desired \| 1 updated \| 4 total \| 3 available \| 1 unavailable\n",
                    r"Available +True +MinimumReplicasAvailable\n", r"Progressing +False +ProgressDeadlineExceeded\n",
                    r"OldReplicaSets: +web-\w+ \(3/3 replicas created\)\nNewReplicaSet: +web-\w+ \(1/1"):  # fmt: skip
        assert re.search(pattern, described), pattern
    described = shop(f"describe pod {bad[0]}")
    for pattern in (r"Status: +Pending\n", r"State: +Waiting\n +Reason: +(ErrImagePull|ImagePullBackOff)\n",
                    r"Warning +Failed .*Failed to pull image \"lab.test/web:missing\"", r"Ready +False"):  # fmt: skip
        assert re.search(pattern, described), pattern
    logs = shop.fails(f"logs {bad[0]}")
    start = f'Error from server (BadRequest): container "web" in pod "{bad[0]}" is waiting to start: '
    assert logs in {f"{start}image can't be pulled\n", f"{start}trying and failing to pull image\n"}
    events = shop("get events --sort-by=.lastTimestamp")
    assert re.search(rf"Warning +Failed +pod/{bad[0]} +Error: ErrImagePull", events)
    assert shop("wait --for=condition=available deployment/web --timeout=20s") == "deployment.apps/web condition met\n"
    stuck = "wait --for=condition=Progressing=False deployment/web --timeout=20s"
    assert shop(stuck) == "deployment.apps/web condition met\n"
    back(shop)


def test_a_release_that_never_becomes_ready(shop, wait_until):
    """Stuck, too; the new pod runs, and its address is in the slice without being ready."""
    with shop.deadline(6):
        shop("set env deployment/web NEVER_READY=1")
        stuck = shop.run("rollout status deployment/web --timeout=25s")
    assert (stuck.code, stuck.err) == (1, STUCK)
    words = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    wait_until(lambda: words in shop("get events --field-selector reason=Unhealthy"), "the event")
    rows = shop.table("get pods")
    assert sorted(row[1:4] for row in rows[1:]) == [["0/1", "Running", "0"], *[["1/1", "Running", "0"]] * 3]
    assert shop.table("get deployment web")[1] == ["web", "3/3", "1", "3", "AGE"]
    assert re.search(r"Progressing +False +ProgressDeadlineExceeded", shop("describe deployment web"))
    assert shop.table("get endpointslices")[1][3].endswith(" + 1 more...")
    ends = shop.json("get endpointslices")["items"][0]["endpoints"]
    assert sorted(one["conditions"]["ready"] for one in ends) == [False, True, True, True]
    assert len(shop.json("get endpoints web")["subsets"][0]["addresses"]) == 3
    back(shop)


def test_what_cannot_be_scheduled_or_configured(shop, wait_until):
    """Requests beyond the node: Pending in the scheduler's words; a missing configmap: CreateContainerConfigError."""
    resources = {"requests": {"cpu": "640"}, "limits": {"cpu": "640"}}
    body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "resources": resources}]}}}}
    assert shop(["patch", "deployment", "web", "-p", json.dumps(body)]) == "deployment.apps/web patched\n"
    words = ("0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
             "0/1 nodes are available: 1 Preemption is not helpful for scheduling.")  # fmt: skip
    wait_until(lambda: words in shop("get events --field-selector reason=FailedScheduling"), "the scheduler's words")
    assert min(row[1:3] for row in shop.table("get pods")[1:]) == ["0/1", "Pending"]
    back(shop)
    reference = [{"configMapRef": {"name": "nosuch"}}]
    operation = [{"op": "add", "path": "/spec/template/spec/containers/0/envFrom", "value": reference}]
    assert shop(["patch", "deployment", "web", "--type=json", "-p", json.dumps(operation)]).endswith(" patched\n")
    wait_until(lambda: "CreateContainerConfigError" in shop("get pods"), "the config error")
    events = "get events --field-selector type=Warning --sort-by=.lastTimestamp"
    wait_until(lambda: 'Error: configmap "nosuch" not found' in shop(events), "the event")
    back(shop)


def test_a_quota_in_the_way(shop, wait_until):
    """The rollout cannot make its pod: ReplicaFailure and FailedCreate say which quota is full."""
    assert shop("create quota q --hard=pods=1") == "resourcequota/q created\n"
    wait_until(lambda: shop.json("get quota q").get("status", {}).get("used") == {"pods": "3"}, "the quota's count")
    shop("rollout restart deployment/web")
    words = r'pods "web-\w+-\w+" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=1'
    pattern = rf"Warning +FailedCreate +replicaset/web-\w+ +Error creating: {words}"
    wait_until(lambda: re.search(pattern, shop("get events --field-selector reason=FailedCreate")), "the event")

    def told():
        found = shop.json("get deployment web")["status"]["conditions"]
        return [one for one in found if one["type"] == "ReplicaFailure"]

    (failure,) = wait_until(told, "the condition")
    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert re.fullmatch(words, failure["message"])
    assert shop("delete quota q") == 'resourcequota "q" deleted\n'
    back(shop)


def test_a_crash_and_a_program_over_its_limit(k, wait_until):
    """Restarts with their age, exit codes and reasons in describe, the log of the run before, BackOff."""
    crash = {"name": "main", "image": "lab.test/sh:1", "args": ["echo cannot reach database; exit 3"]}
    limits = {"limits": {"memory": "64Mi"}}
    hog = {"name": "main", "image": "lab.test/web:1", "ports": [{"containerPort": 8080}], "resources": limits,
           "env": [{"name": "HOG_BYTES", "value": str(256 << 20)}]}  # fmt: skip
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
        for name, container in (("crasher", crash), ("hog", hog))
    ]
    assert k("apply -f -", stdin=pods) == "pod/crasher created\npod/hog created\n"

    def restarted():
        rows = {row[0]: row for row in k.table("get pods")[1:]}
        return rows if all(re.match(r"[1-9]\d* \(\d+s ago\)", rows[name][3]) for name in rows) else None

    rows = wait_until(restarted, "restarts")
    assert rows["crasher"][2] in {"Error", "CrashLoopBackOff", "Running"}
    assert rows["hog"][2] in {"OOMKilled", "CrashLoopBackOff", "Running"}
    assert re.search(r"Last State: +Terminated\n +Reason: +Error\n +Exit Code: +3\n", k("describe pod crasher"))
    assert re.search(r"Last State: +Terminated\n +Reason: +OOMKilled\n +Exit Code: +137\n", k("describe pod hog"))
    assert k("logs crasher --previous") == "cannot reach database\n"
    events = "get events --field-selector involvedObject.name=hog"
    pattern = r"Warning +BackOff +pod/hog +Back-off restarting failed container main in pod hog_"
    wait_until(lambda: re.search(pattern, k(events)), "the event")
    gone = k("delete pod crasher hog --grace-period=1").splitlines()
    assert gone == ['pod "crasher" deleted', 'pod "hog" deleted']
    assert k("get pods") == ""
