"""The responder against a real API: what it refuses, how it goes back, what it believes, and whom it pages."""

import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from muster.kube import MERGE
from muster.release import Monitor, current, current_of, look_canary, previous
from muster.responder.audit import Audit
from muster.responder.engine import Responder
from muster.responder.lock import Intent, Lock
from muster.responder.webhook import Alert
from muster.wait import wait_until

ERRORS, DOWN = "X0TTA6BL4ErrorRatioRollback", "X0TTA6BL4HealthCheckFailed"
QUICK = {"timeout": "30s", "cool_down": "0s", "symptom_within": "90s", "remedy_cool_down": "20m"}


def an_alert(name=ERRORS, *, mark="f1", action="rollback", ago_s=-10.0, **more):
    """A firing one, by default as if its waiting time (10 scaled minutes at most) were over."""
    starts_at = datetime.fromtimestamp(time.time() - ago_s, UTC).isoformat().replace("+00:00", "Z")
    labels = {"alertname": name, "action": action, "system": "x0tta6bl4", "environment": "here"}
    labels |= more
    return Alert(name=name, status="firing", fingerprint=mark, starts_at=starts_at, labels=labels)


class Acting:
    """A responder in this process, and its audit."""

    def __init__(self, shop, audit, monitor):
        env = shop.env
        given = {"system": shop.system, "env": env, "source": env.kubernetes, "kube": shop.kube}
        self.responder = Responder(**given, monitor=monitor, audit=audit, me="me/127.0.0.1:1")
        self.handle = self.responder.handle

    def of(self, kind):
        """Records of a kind, the data with the message."""
        return [{**r["data"], "message": r["message"]} for r in self.responder.audit.since(0) if r["kind"] == kind]


@contextmanager
def responding(shop, **changes):
    """One in an environment of which only the differences matter."""
    rollback = {**QUICK, **changes.pop("rollback", {})}
    shop.write_facts(rollback=rollback, discovery="0s", scrape_interval="3s", **changes)
    audit = Audit(shop.folder / "audit.jsonl")
    try:
        with Monitor(shop.env) as monitor:
            yield Acting(shop, audit, monitor)
    finally:
        audit.close()


def lease(shop):
    return shop.kube.get(f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases/muster-rollback-web")


# -- refusals -----------------------------------------------------------------------------------------------------


def test_fault_that_was_there_before_the_release_is_not_its_fault(shop):
    """Only one release is left, so it is compared with the moment before it; the alert stays open."""
    shop.release("shop/web:2")
    shop.monitoring.tells = lambda _query, at: 0.14 if at else 0.15
    with responding(shop) as acting:
        assert acting.handle(an_alert()) is False
    (decided,) = acting.of("decided")
    assert decided["refusal"] == "baseline suffers"
    assert decided["comparison"]["blames"] is False
    assert "15%" in decided["message"]
    assert "14% at the moment before the release" in decided["message"]
    assert shop.images() == ["shop/web:2"] * 3


def test_pods_of_the_previous_release_that_suffer_as_much_are_the_baseline(shop):
    """In the middle of a rollout both releases serve: the question is asked for the pods of each."""
    shop.release("shop/web:2", settle=False, NEVER_READY="1")
    wait_until(lambda: len({p["spec"]["containers"][0]["image"] for p in shop.look().pods}), lambda n: n == 2,
               what="no second release", timeout_s=20)  # fmt: skip
    shop.monitoring.tells = lambda query, at: None if at else (0.30 if 'pod=~"web-' in query else 0.2)
    with responding(shop) as acting:
        acting.handle(an_alert())
    (decided,) = acting.of("decided")
    assert decided["refusal"] == "baseline suffers"
    assert "pods of another release" in decided["message"]
    asked = [query for query, _ in shop.monitoring.asked if 'pod=~"' in query]
    assert all(f'namespace="{shop.namespace}"' in query for query in asked)


def test_what_cannot_be_compared_is_acted_on_and_said(shop):
    """The trigger is explicit: a Prometheus without samples stops no rollback, but it cannot prove one either."""
    shop.release("shop/web:2")
    shop.monitoring.tells = lambda _query, _at: None
    with responding(shop) as acting:
        acting.handle(an_alert())
    assert acting.of("decided")[0]["decision"] == "roll back"
    assert "has no samples" in acting.of("decided")[0]["comparison"]["message"]
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS"
    assert acting.of("symptom.gone")[0]["verdict"] == "UNKNOWN"
    assert "not known" in shop.monitoring.posted[0]["annotations"]["description"]


def test_freeze_refuses_until_it_is_over(shop):
    """With its reason; the alert stays open."""
    shop.release("shop/web:2")
    begins, ends = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    window = {"from": begins.isoformat(), "until": ends.isoformat(), "why": "the election"}
    with responding(shop, freeze=[window]) as acting:
        assert acting.handle(an_alert()) is False
    assert acting.of("decided")[0]["refusal"] == "freeze"
    assert "the election" in acting.of("decided")[0]["message"]


def test_most_per_day_is_counted_in_the_cluster(shop):
    """By another responder and another audit: the second rollback of the day is one too many."""
    shop.release("shop/web:2")
    with responding(shop, rollback={"most_per_day": 1}) as acting:
        acting.handle(an_alert())
        assert acting.of("symptom.gone")[0]["verdict"] == "PASS"
    (shop.folder / "audit.jsonl").unlink()
    shop.release("shop/web:3")
    with responding(shop, rollback={"most_per_day": 1}) as acting:
        acting.handle(an_alert(mark="f2"))
    (decided,) = acting.of("decided")
    assert decided["refusal"] == "too often"
    assert "1 rollbacks were begun within 24m" in decided["message"]


# -- verdicts -----------------------------------------------------------------------------------------------------


def test_rollback_that_does_not_take_the_symptom_away_has_failed_and_pages(shop):
    """Proven by revision and digest, and users still suffer: people are told, over the facts' own route."""
    shop.release("shop/web:2")
    shop.monitoring.tells = lambda _query, at: 0.01 if at else 0.15
    with responding(shop) as acting:
        assert acting.handle(an_alert()) is True
    assert acting.of("decided")[0]["comparison"]["blames"] is True
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS"
    (gone,) = acting.of("symptom.gone")
    assert (gone["verdict"], gone["value"]) == ("FAIL", 0.15)
    (paged,) = shop.monitoring.posted
    told = {"alertname": "MusterRollbackFailed", "tell": "on-call,team-lead", "level": "critical", "cause": ERRORS}
    assert told.items() <= paged["labels"].items()
    assert "the symptom stayed" in paged["annotations"]["description"]
    assert paged["endsAt"] > paged["startsAt"]
    assert acting.of("escalated")[0]["delivered"] is True
    assert '"verdict": "FAIL"' in lease(shop)["metadata"]["annotations"]["muster.dev/last-rollback"]


def test_page_that_alertmanager_does_not_take_is_tried_again_once_delivered(shop):
    """By the next run too; health says so meanwhile, and nobody is paged twice."""
    shop.release("shop/web:2")
    shop.monitoring.tells, shop.monitoring.takes = lambda _query, at: 0.01 if at else 0.15, False
    with responding(shop) as acting:
        acting.handle(an_alert())
        assert acting.of("escalated")[0]["delivered"] is False
        assert "nobody could be paged yet" in acting.of("escalated")[0]["message"]
    with responding(shop) as acting:
        acting.responder.escalation.retry()
        assert len(acting.responder.escalation.pending) == 1
        shop.monitoring.takes = True
        acting.responder.escalation.retry()
        acting.responder.escalation.retry()
    assert acting.of("escalated")[-1]["delivered"] is True
    assert len(shop.monitoring.posted) == 1


def test_build_that_still_serves_after_an_undo_is_a_failure_and_pages(shop):
    """Sabotage: the tag of the previous revision has moved, so every pod says that it runs the bad build."""
    shop.kubelet.digest = "sha256:" + "bad0" * 16
    shop.release("shop/web:2")
    with responding(shop) as acting:
        acting.handle(an_alert())
    assert acting.of("rollback.proven")[0]["verdict"] == "FAIL"
    assert "changed nothing" in acting.of("rollback.proven")[0]["message"]
    assert acting.of("symptom.gone") == []
    assert len(shop.monitoring.posted) == 1


# -- a command of the user's --------------------------------------------------------------------------------------

UNDO = """
import json, os, subprocess, sys
open("told.json", "w").write(json.dumps(dict(os.environ)))
print("token=hush-hush-hush", flush=True)
words = ["kubectl", "-n", os.environ["MUSTER_NAMESPACE"], "rollout", "undo"]
words += ["deployment/" + os.environ["MUSTER_DEPLOYMENT"], "--to-revision", os.environ["MUSTER_TARGET_REVISION"]]
sys.exit(subprocess.run(words).returncode)
"""


def command(shop, text, **more):
    (shop.folder / "undo.py").write_text(text)
    argv = [sys.executable, "undo.py"]
    return {"strategy": "command", "command": {"argv": argv, "effect_within": "300ms", **more}}


def test_command_that_rolls_back_is_proven_like_any_rollback(shop, monkeypatch):
    """It is told names, never secrets: of our own environment only what every program needs."""
    monkeypatch.setenv("A_SECRET_OF_OURS", "hush")
    shop.release("shop/web:2")
    with responding(shop, rollback=command(shop, UNDO)) as acting:
        acting.handle(an_alert())
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert acting.of("symptom.gone")[0]["verdict"] == "PASS"
    assert shop.images() == ["shop/web:1"] * 3
    told = (shop.folder / "told.json").read_text()
    assert '"MUSTER_BAD_REVISION": "2"' in told
    assert "hush" not in told
    assert "hush" not in (shop.folder / "audit.jsonl").read_text()


def test_command_that_exits_0_and_changes_nothing_has_failed_and_pages(shop):
    """An exit code proves nothing."""
    shop.release("shop/web:2")
    with responding(shop, rollback=command(shop, "print('done')")) as acting:
        acting.handle(an_alert())
    assert acting.of("rollback.proven")[0]["verdict"] == "FAIL"
    assert "still asks for revision 2" in acting.of("rollback.proven")[0]["message"]
    assert "changed nothing" in shop.monitoring.posted[0]["annotations"]["description"]


@pytest.mark.parametrize(
    ("text", "more", "sentence"),
    [
        ("print('password=hush-hush'); raise SystemExit(3)", {}, "exited with 3: password=[redacted]"),
        ("import time; time.sleep(60)", {"timeout": "400ms"}, "took longer than 0.4s"),
        ("", {"argv": ["no-such-program"]}, "cannot be started: No such file"),
    ],
)
def test_command_that_fails_is_said_in_a_sentence(shop, text, more, sentence):
    """FAIL and a page; its words without what looks like a secret; nothing of it is left running."""
    shop.release("shop/web:2")
    with responding(shop, rollback=command(shop, text, **more)) as acting:
        acting.handle(an_alert())
    assert acting.of("rollback.proven")[0]["verdict"] == "FAIL"
    assert sentence in acting.of("rollback.proven")[0]["message"]
    assert len(shop.monitoring.posted) == 1
    ours = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not [line for line in ours if "undo.py" in line]


def test_command_that_was_begun_before_a_crash_is_not_run_again(shop):
    """`helm rollback` twice is forward again: what it did is judged, nothing more."""
    shop.release("shop/web:2")
    bad, target = current(shop.kube, shop.env), previous(shop.kube, shop.env)
    intent = Intent(alert=ERRORS, key="k", bad=bad, target=target, decided_at=time.time(), begun=True)
    lock = Lock(shop.kube, shop.namespace, "web", "me/127.0.0.1:1")
    lock.take(lock.read(), intent)
    with responding(shop, rollback=command(shop, UNDO, timeout="200ms")) as acting:
        assert acting.responder.resume() is True
    assert not (shop.folder / "told.json").exists()
    assert acting.of("rollback.proven")[0]["verdict"] == "FAIL"


# -- restart and scale --------------------------------------------------------------------------------------------


def test_remedy_is_proposed_with_the_exact_command(shop):
    """Where it is not allowed nothing is changed: audit, Event, and what stands in its way."""
    with responding(shop) as acting:
        assert acting.handle(an_alert(DOWN, action="restart")) is True
        assert acting.handle(an_alert("X0TTA6BL4HighCPUUsage", action="scale", mark="f2")) is True
        acting.handle(an_alert("X0TTA6BL4FrequentRestarts", action="escalate", mark="f3"))
    restart, scale, people = acting.of("decided")
    assert [one["decision"] for one in (restart, scale, people)] == ["propose"] * 3
    assert restart["command"] == f"kubectl -n {shop.namespace} rollout restart deployment/web"
    assert scale["command"] == f"kubectl -n {shop.namespace} scale deployment/web --replicas=7"
    assert "for people" in people["message"]
    events = shop.kube.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"]
    said = [event["message"] for event in events if event["reason"] == "RemedyProposed"]
    assert any("rollout restart deployment/web" in message for message in said)
    assert shop.look().deployment["metadata"]["generation"] == 1


def test_restart_is_carried_out_where_it_is_allowed_and_hides_no_way_back(shop):
    """Every pod is another one and ready; not again within its cool-down; a rollback still finds the good release."""
    shop.release("shop/web:2")
    before = {pod["metadata"]["name"] for pod in shop.look().serving()}
    with responding(shop, rollback={"allow": ["restart"]}) as acting:
        assert acting.handle(an_alert(DOWN, action="restart")) is True
        assert acting.handle(an_alert(DOWN, action="restart", mark="f2")) is False
        done, again = acting.of("decided")
        assert done["decision"] == "restart"
        assert again["refusal"] == "cool-down"
        assert acting.of("remedy.proven")[0]["verdict"] == "PASS"
        assert not before & {pod["metadata"]["name"] for pod in shop.look().serving()}
        assert lease(shop)["spec"]["holderIdentity"] == ""
        shop.settle()
        acting.handle(an_alert(mark="f3"))
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS"
    assert shop.images() == ["shop/web:1"] * 3


def test_scaling_is_carried_out_unless_quota_or_autoscaler_forbid_it(shop):
    """Seven replicas do not fit a quota of five pods, and an autoscaler would undo them: each is a reason."""
    quotas = f"/api/v1/namespaces/{shop.namespace}/resourcequotas"
    scalers = f"/apis/autoscaling/v2/namespaces/{shop.namespace}/horizontalpodautoscalers"
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": "5"}},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "auto"},
              "spec": {"scaleTargetRef": target, "maxReplicas": 4}}  # fmt: skip
    scale = {"name": "X0TTA6BL4HighCPUUsage", "action": "scale"}
    with responding(shop, rollback={"allow": ["scale"]}) as acting:
        shop.kube.post(quotas, quota)
        shop.kube.patch(
            f"{quotas}/small/status", {"status": {"hard": {"pods": "5"}, "used": {"pods": "3"}}}, kind=MERGE
        )
        acting.handle(an_alert(**scale))
        shop.kube.delete(f"{quotas}/small")
        shop.kube.post(scalers, scaler)
        acting.handle(an_alert(**scale, mark="f2"))
        shop.kube.delete(f"{scalers}/auto")
        acting.handle(an_alert(**scale, mark="f3"))
        acting.handle(an_alert(**scale, mark="f4"))
    too_small, owned, done, cooling = acting.of("decided")
    assert "quota small leaves room for 2 more pods, 4 are needed" in too_small["message"]
    assert "autoscaler auto owns the replicas" in owned["message"]
    assert (done["decision"], cooling["refusal"]) == ("scale", "cool-down")
    assert acting.of("remedy.proven")[0]["message"] == "7 of 7 replicas are ready"
    assert len(shop.look().serving()) == 7


# -- canary -------------------------------------------------------------------------------------------------------

NGINX = "nginx.ingress.kubernetes.io/canary"


@pytest.fixture
def canary(shop):
    """A canary of release 2 at 10% beside the stable release 1; its ingress' path."""
    deployment = shop.look().deployment
    labels = {"app": "web-canary"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "shop/web:2"}]}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-canary"}}
    body |= {"spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}}
    shop.kube.post(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments", body)
    folder = f"/apis/networking.k8s.io/v1/namespaces/{shop.namespace}/ingresses"
    notes = {NGINX: "true", f"{NGINX}-weight": "10"}
    backend = {"service": {"name": "web-canary", "port": {"number": 80}}}
    rule = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web-canary"}}
    ingress["metadata"]["annotations"] = notes
    shop.kube.post(folder, {**ingress, "spec": {"rules": [rule]}})
    wait_until(
        lambda: shop.kube.get(f"{shop.path}-canary")["status"].get("availableReplicas"),
        bool,
        what="no canary",
        timeout_s=20,
    )
    assert deployment["metadata"]["generation"] == 1
    return f"{folder}/web-canary"


CANARY = {"strategy": "canary", "canary": {"ingress": "web-canary", "deployment": "web-canary", "drain": "12s"}}


def test_canary_is_aborted_users_first_and_the_stable_release_stays(shop, canary):
    """Weight 0, then no replicas; proven by ingress and pods, the stable Deployment is not touched."""
    shop.monitoring.tells = lambda query, _at: 0.3 if "web-canary-" in query else 0.0
    with responding(shop, rollback=CANARY) as acting:
        acting.handle(an_alert())
    (decided,) = acting.of("decided")
    assert (decided["decision"], decided["comparison"]["blames"]) == ("roll back", True)
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert acting.of("symptom.gone")[0]["verdict"] == "PASS"
    assert len(acting.of("traffic.off")) == 1
    assert shop.kube.get(canary)["metadata"]["annotations"][f"{NGINX}-weight"] == "0"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 0
    assert shop.look().deployment["metadata"]["generation"] == 1
    assert shop.images() == ["shop/web:1"] * 3


BESIDE = {"canary": {**CANARY["canary"], "metric_selector": 'app="web-canary"'}}  # releases go back by their own undo


def test_alert_of_the_canary_aborts_it_where_releases_are_undone_otherwise(shop, canary):
    """The stable Deployment has a way back, and it is not taken."""
    shop.release("shop/web:3")
    generation = shop.look().deployment["metadata"]["generation"]
    shop.monitoring.tells = lambda query, _at: 0.3 if "web-canary-" in query else 0.0
    with responding(shop, rollback=BESIDE) as acting:
        acting.handle(an_alert(release="canary"))
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert acting.of("symptom.gone")[0]["verdict"] == "PASS"
    assert shop.kube.get(canary)["metadata"]["annotations"][f"{NGINX}-weight"] == "0"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 0
    assert shop.look().deployment["metadata"]["generation"] == generation
    assert shop.images() == ["shop/web:3"] * 3


def test_alert_of_the_whole_leaves_the_canary_alone(shop, canary):
    """It is the stable release that goes back."""
    shop.release("shop/web:3")
    with responding(shop, rollback=BESIDE) as acting:
        acting.handle(an_alert())
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert shop.images() == ["shop/web:1"] * 3
    assert shop.kube.get(canary)["metadata"]["annotations"][f"{NGINX}-weight"] == "10"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 1


def test_abort_that_a_crash_interrupted_is_resumed_as_an_abort(shop, canary):
    """The intent names the Deployment at fault; nothing else is left of the alert."""
    with responding(shop, rollback=BESIDE) as acting:
        seen = look_canary(shop.kube, shop.env)
        bad, target = current_of(seen.canary, "web"), current_of(seen.stable, "web")
        lock = Lock(shop.kube, shop.namespace, "web", "me/127.0.0.1:1")
        lock.take(lock.read(), Intent(alert=ERRORS, key="k", bad=bad, target=target, decided_at=time.time()))
        assert acting.responder.resume() is True
    assert acting.of("rollback.proven")[0]["verdict"] == "PASS", acting.of("rollback.proven")[0]["message"]
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 0
    assert shop.look().deployment["metadata"]["generation"] == 1


def test_canary_that_is_no_worse_than_the_stable_release_is_not_aborted(shop, canary):
    """The baseline suffers as much: it is not this release's fault."""
    shop.monitoring.tells = lambda query, _at: 0.3 if "web-canary-" in query else 0.28
    with responding(shop, rollback=CANARY) as acting:
        acting.handle(an_alert())
    assert acting.of("decided")[0]["refusal"] == "baseline suffers"
    assert shop.kube.get(f"{shop.path}-canary")["spec"]["replicas"] == 1


def test_canary_without_traffic_is_no_way_back(shop, canary):
    """At weight 0 no user of it suffers, so aborting it would heal nothing."""
    shop.kube.patch(canary, {"metadata": {"annotations": {f"{NGINX}-weight": "0"}}}, kind=MERGE)
    with responding(shop, rollback=CANARY) as acting:
        acting.handle(an_alert())
    assert acting.of("decided")[0]["refusal"] == "no way back"
    assert "weight 0" in acting.of("decided")[0]["message"]
