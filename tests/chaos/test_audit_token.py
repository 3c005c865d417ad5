"""Where a drill reads the responder's audit, and with whose token."""

from muster.chaos.sources import watchers
from muster.system import Environment, load_system
from muster.timeline import Kind


def test_audit_is_read_with_the_token_of_the_machine_that_drills(serve, story, tmp_path):
    """Alertmanager's file is in Alertmanager's pod; here it would leave every link from webhook to symptom unknown."""
    (tmp_path / "token").write_text("s3cret\n")
    record = {"at": 2e9, "kind": "webhook.received", "alert": "A", "message": "", "data": {"alert": "A"}}
    responder = serve({"/audit": {"records": [record]}})
    elsewhere = "/etc/alertmanager/secrets/no-such-token"
    given = {"responder": responder.url, "responder_token_file": elsewhere}
    env = Environment(description="here", **given, token_files={"responder": str(tmp_path / "token")})
    (watcher,) = watchers(story, load_system("x0tta6bl4"), env, since=0.0, load=None, kube=None)
    watcher.look()
    watcher.close()
    assert responder.headers["Authorization"] == "Bearer s3cret"
    assert [event.kind for event in story.timeline().events] == [Kind.WEBHOOK_RECEIVED]
