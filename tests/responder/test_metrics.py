"""What Prometheus is told of the responder, and what an escalation tells Alertmanager."""

from collections import Counter

from muster.responder.escalate import alert_for
from muster.responder.metrics import counted, exposition


def test_counts_are_the_audits_by_kind_and_outcome():
    """Read with the official parser; counters start from the file, not from the process."""
    from prometheus_client.parser import text_string_to_metric_families

    records = [
        {"kind": "decided", "data": {"decision": "refuse", "refusal": "cool-down"}},
        {"kind": "decided", "data": {"decision": "refuse", "refusal": "cool-down"}},
        {"kind": "decided", "data": {"decision": "roll back"}},
        {"kind": "rollback.proven", "data": {"verdict": "PASS"}},
        {"kind": "escalated", "data": {"delivered": False}},
        {"kind": "note", "data": {}},
    ]
    text = exposition(Counter(filter(None, map(counted, records))), silent_s=1.5, held=True, undelivered=1)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    decided = {tuple(s.labels.values()): s.value for s in families["muster_responder_decisions"].samples}
    assert decided == {("refuse", "cool-down"): 2.0, ("roll back", ""): 1.0}
    assert families["muster_responder_rollbacks"].samples[0].labels == {"verdict": "pass"}
    assert families["muster_responder_escalations"].samples[0].labels == {"delivered": "false"}
    assert families["muster_responder_api_silent_seconds"].samples[0].value == 1.5
    assert families["muster_responder_lock_held"].samples[0].value == 1


def test_escalation_carries_the_labels_that_the_rendered_routes_match(system, make_env):
    """System, environment, level and whom to tell; the cause is a label, so that two causes are two alerts."""
    env = make_env()
    alert = alert_for(system, env, "X0TTA6BL4LatencyRollback", "it changed nothing", now=0.0)
    assert alert["labels"] == {
        "alertname": "MusterRollbackFailed",
        "severity": "critical",
        "level": "critical",
        "system": "x0tta6bl4",
        "environment": "here",
        "action": "escalate",
        "cause": "X0TTA6BL4LatencyRollback",
        "slo": "latency_p95",
        "tell": "on-call,team-lead",
    }
    assert alert["startsAt"] == "1970-01-01T00:00:00.000000Z"
    assert alert["endsAt"] == "1970-01-01T00:04:00.000000Z"  # four hours at time scale 60


def test_without_a_contact_of_its_own_an_escalation_takes_the_default_route(system, make_env):
    """No label that another route could take for its own."""
    bare = system.model_copy(update={"rollback_failed": None})
    labels = alert_for(bare, make_env(), "Unheard", "x", now=0.0)["labels"]
    assert "tell" not in labels
    assert labels["level"] == "critical"
