"""What Alertmanager says of itself."""

from muster.snapshot import FailureKind

STATUS = "/api/v2/status"
CONFIG = """
route:
  receiver: on-call
  routes:
    - receiver: responder
      matchers: ['action="rollback"']
      continue: true
    - match: {team: web}
      match_re: {severity: "critical|page"}
      routes: [{receiver: night, active_time_intervals: [nights]}]
receivers:
  - name: on-call
    pagerduty_configs: [{routing_key: <secret>, url: http://pager}]
  - name: responder
    webhook_configs: [{url: http://responder}]
  - name: night
"""


def test_the_routing_tree_in_force_is_read_without_its_secrets(read, serve, environment):
    """Routes and kinds of integration are kept, in one form of matcher; keys and addresses are not."""
    server = serve({STATUS: {"config": {"original": CONFIG}}})
    value = read(environment(alertmanager=server.url, responder="http://responder"), "routes").value
    assert value["receivers"] == {"on-call": ["pagerduty"], "responder": ["webhook"], "night": []}
    assert value["responder"] is True
    rollback, web = value["route"]["routes"]
    assert (rollback["matchers"], rollback["continue"]) == (['action="rollback"'], True)
    assert web["matchers"] == ['team="web"', 'severity=~"critical|page"']
    assert web["routes"][0]["muted"] is True
    assert "http://pager" not in str(value)


def test_a_configuration_that_is_not_yaml_is_unparseable(read, serve, environment):
    """With the line where it breaks."""
    server = serve({STATUS: {"config": {"original": "route:\n  receiver: ["}}})
    found = read(environment(alertmanager=server.url), "routes").failure
    assert found.kind is FailureKind.UNPARSEABLE
    assert "line" in found.message


def test_only_silences_in_force_are_read(read, serve, environment):
    """An expired silence mutes nobody."""

    def silence(state):
        matcher = {"name": "alertname", "value": "X", "isRegex": False, "isEqual": True}
        return {
            "id": state, "status": {"state": state}, "matchers": [matcher], "endsAt": "2026-01-01T00:00:00Z",
            "createdBy": "me", "comment": "works",
        }  # fmt: skip

    server = serve({"/api/v2/silences": [silence("active"), silence("expired")]})
    assert [entry["id"] for entry in read(environment(alertmanager=server.url), "silences").value] == ["active"]
