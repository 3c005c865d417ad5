"""Who is told: asked of Alertmanager's own routing, for every alert."""

import json

import pytest
import yaml

from muster.errors import UsageError
from muster.responder.escalate import alert_for
from muster.rules import render
from muster.rules.alertmanager import config
from muster.rules.names import absent_texts, series_of, texts
from muster.system.environment import Channel


@pytest.mark.parametrize("environment", ["staging", "lab"])
def test_amtool_accepts_the_configuration(rendered, tool, environment):
    """The real parser is the judge, routing keys by file included."""
    assert "SUCCESS" in tool("amtool", "check-config", rendered[environment] / "alertmanager.yml").stdout


OURS = "x0tta6bl4/staging/"


def routed(tool, folder, alert, labels):
    words = [f"{key}={value}" for key, value in {"alertname": alert, **labels}.items()]
    file = folder / "alertmanager.yml"
    return tool("amtool", "config", "routes", "test", f"--config.file={file}", *words).stdout.strip().split(",")


def test_every_alert_reaches_exactly_whom_it_is_for(system, staging, rendered, tool):
    """The contacts of the alert, and the responder when it carries out or proposes what the runbook asks for."""
    for name, alert in system.alerts.items():
        expected = [OURS + "+".join(alert.tell)]
        if alert.action in {"rollback", "restart", "scale"}:
            expected.insert(0, f"{OURS}responder")
        assert routed(tool, rendered["staging"], name, texts(system, staging, name).labels) == expected


def test_absent_data_reaches_on_call(system, lab, rendered, tool):
    """Silence pages."""
    for series, slos in series_of(system).items():
        labels = absent_texts(system, lab, series, slos).labels
        assert routed(tool, rendered["lab"], system.no_data.alert, labels) == ["x0tta6bl4/lab/on-call"]


def test_a_rollback_that_failed_reaches_whom_it_is_for(system, lab, rendered, tool):
    """The one alert that no rule raises: the responder's own."""
    raised = alert_for(system, lab, "X0TTA6BL4ErrorRatioRollback", "it changed nothing", now=0)["labels"]
    name = raised.pop("alertname")
    assert routed(tool, rendered["lab"], name, raised) == ["x0tta6bl4/lab/" + "+".join(system.rollback_failed.tell)]


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"severity": "critical", "level": "critical"},
        {"tell": "nobody"},
        {"system": "another", "environment": "production", "action": "rollback", "tell": "on-call,team-lead"},
    ],
)
def test_nothing_is_routed_to_nobody(rendered, tool, labels):
    """What no route knows is told to the first level; another system's rollback is not this responder's."""
    assert routed(tool, rendered["staging"], "Strange", labels) == [f"{OURS}on-call"]


@pytest.mark.parametrize("action", ["restart", "scale", "rollback"])
@pytest.mark.parametrize("told", [{}, {"tell": "nobody"}, {"tell": "nobody", "level": "critical"}])
def test_the_responder_is_never_the_only_one_told(rendered, tool, action, told):
    """Its route is a child that matches, so a parent's receiver would not be asked: people have a last route."""
    labels = {"system": "x0tta6bl4", "environment": "staging", "level": "warning", "action": action, **told}
    assert routed(tool, rendered["staging"], "Strange", labels) == [f"{OURS}responder", f"{OURS}on-call"]


def test_rollback_and_critical_do_not_wait(system, lab):
    """Waiting to be grouped is for warnings."""
    whole = config(system, lab)["route"]
    own, others = whole["routes"]
    responder, *people = own["routes"]
    assert (responder["group_wait"], responder["continue"]) == ("0s", True)
    assert responder["receiver"] == "x0tta6bl4/lab/responder"
    urgent = [route.get("group_wait", route.get("routes", [{}])[0].get("group_wait")) for route in (*people, others)]
    assert set(urgent) == {"0s"}
    assert whole["group_wait"] == own["group_wait"] == "500ms"


def test_receivers_send_resolved_and_name_secrets_by_file(system, staging):
    """The pager hears the end too, and no key stands in the file."""
    for receiver in config(system, staging)["receivers"]:
        for integrations in (value for key, value in receiver.items() if key.endswith("_configs")):
            assert all(one["send_resolved"] for one in integrations)
            assert not any(key in one for one in integrations for key in ("routing_key", "api_url", "auth_password"))


def test_a_contact_that_cannot_be_reached_is_an_error(system, staging):
    """A page to nobody is found when rules are rendered, not at night."""
    contacts = {name: channel for name, channel in staging.contacts.items() if name != "security"}
    with pytest.raises(
        UsageError, match=r"environments.staging.contacts of x0tta6bl4: nothing says how to reach 'secur"
    ):
        render(system, staging.model_copy(update={"contacts": contacts}), "alertmanager")


def test_every_kind_of_channel_is_accepted(system, staging, tool, tmp_path):
    """Pager, chat, mail and a plain webhook, as Alertmanager 0.25 takes them."""
    url, token, chat, mail = "http://127.0.0.1:1/hook", "/run/token", "/run/slack", "/run/mail"
    channels = {
        "on-call": Channel(kind="webhook", url=url, secret_file=token),
        "senior": Channel(kind="webhook", url=url),
        "team-lead": Channel(kind="slack", to="#incidents", secret_file=chat),
        "security": Channel(kind="email", url="smtp://muster@mail.example:587", to="s@example", secret_file=mail),
        "cto": Channel(kind="email", url="smtp://mail.example:25", to="cto@example", sender="muster@example"),
    }
    file = tmp_path / "alertmanager.yml"
    file.write_text(render(system, staging.model_copy(update={"contacts": channels}), "alertmanager"))
    assert "SUCCESS" in tool("amtool", "check-config", file).stdout
    receivers = {one["name"]: one for one in yaml.safe_load(file.read_text())["receivers"]}
    assert set(receivers[f"{OURS}on-call+security+team-lead+cto"]) == {
        "name", "webhook_configs", "slack_configs", "email_configs",
    }  # fmt: skip


def test_without_a_responder_nothing_is_sent_to_one(system, staging):
    """An environment may only page."""
    plain = config(system, staging.model_copy(update={"responder": ""}))
    assert "responder" not in json.dumps(plain)
    assert "responder" in json.dumps(config(system, staging))


def test_a_canarys_page_is_not_the_wholes(rendered):
    """One group would have neither's words, and one incident for two things to do."""
    route = yaml.safe_load((rendered["staging"] / "alertmanager.yml").read_text())["route"]
    for one in (route, route["routes"][0]):
        assert one["group_by"] == ["alertname", "system", "environment", "release"]


@pytest.mark.parametrize(
    ("summaries", "title"),
    [
        (["over 10% fail"], "Broken over 10% fail"),
        (["a is gone", "b is gone"], "Broken a is gone (the first of 2)"),
    ],
)
def test_no_page_has_an_empty_title(rendered, tool, tmp_path, summaries, title):
    """Alerts of one group that say different things have nothing in common: then the first of them speaks."""
    made = yaml.safe_load((rendered["staging"] / "alertmanager.yml").read_text())
    (text,) = {one["description"] for to in made["receivers"] for one in to.get("pagerduty_configs", [])}
    data = {
        "groupLabels": {"alertname": "Broken"},
        "commonAnnotations": {"summary": summaries[0]} if len(summaries) == 1 else {},
        "alerts": [{"status": "firing", "labels": {}, "annotations": {"summary": one}} for one in summaries],
    }
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "none.tmpl").write_text("")
    shown = tool(
        "amtool", "template", "render", f"--template.glob={tmp_path}/*.tmpl", f"--template.text={text}",
        f"--template.data={tmp_path}/data.json",
    )  # fmt: skip
    assert shown.stdout.strip() == title
