"""The responder against a real API: what it refuses, how it goes back, what it believes, and whom it pages."""

import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from children import children
from responder_here import ERRORS, an_alert, lease, responding

from muster.release import current, previous
from muster.responder.lock import Intent, Lock
from muster.wait import wait_until

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
    assert children("undo.py") == []


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
