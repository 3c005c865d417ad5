"""The real Alertmanager, a stranger to us, delivers by all four ways, and is content with each answer."""

import datetime as dt

import httpx
import pytest
import yaml
from ports import free_port

from lab.daemon.components import program
from lab.errors import LabError

WAYS = {("pagerduty", "on-call"), ("slack", "#storm"), ("email", "ops@lab"), ("webhook", "chat")}


def configuration(sink):
    """One receiver that tells everybody; keys, addresses and passwords are read from files."""
    told = {"send_resolved": True}
    receiver = {
        "name": "everybody",
        "pagerduty_configs": [
            {**told, "url": f"{sink.url}/v2/enqueue", "routing_key_file": f"{sink.state}/pager-keys/on-call"}
        ],
        "slack_configs": [{**told, "api_url_file": f"{sink.state}/slack-url", "channel": "#storm"}],
        "webhook_configs": [{**told, "url": f"{sink.url}/webhook/chat"}],
        "email_configs": [
            {
                **told,
                "to": "ops@lab",
                "from": "alerts@lab",
                "smarthost": f"127.0.0.1:{sink.smtp_port}",
                "auth_username": "alerts",
                "auth_password_file": f"{sink.state}/smtp-password",
            }
        ],
    }
    (sink.state / "slack-url").write_text(f"{sink.url}/slack/alerts")
    route = {"receiver": "everybody", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "100ms"}
    return yaml.safe_dump({"route": route, "receivers": [receiver]})


@pytest.fixture
def alertmanager(sink, started, tmp_path, eventually):
    """Its API's address. It trusts the lab's CA as the lab makes it do."""
    try:
        binary = program("alertmanager")
    except LabError as error:
        pytest.skip(str(error))
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "alertmanager.yml").write_text(configuration(sink))
    started(
        "alertmanager",
        binary,
        f"--config.file={tmp_path}/alertmanager.yml",
        f"--storage.path={tmp_path}/data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        SSL_CERT_FILE=str(sink.state / "pki" / "ca.crt"),
    )
    url = f"http://{address}"
    eventually(lambda: httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200, "Alertmanager is ready")
    return url


def test_an_alert_and_its_end_arrive_by_every_way(sink, alertmanager, eventually, tmp_path, secrets):
    """Page, chat, mail and webhook each tell once that it fires and once that it is over, and no secret is kept."""
    alert = {"labels": {"alertname": "TooManyErrors", "severity": "critical"}, "annotations": {"summary": "it is bad"}}

    def arrived(action):
        found = [each for each in sink.messages() if each["action"] == action]
        assert all(each["alert"] == "TooManyErrors" for each in found)
        return {(each["channel"], each["to"]) for each in found} == WAYS and len(found) == len(WAYS)

    httpx.post(f"{alertmanager}/api/v2/alerts", json=[alert], trust_env=False).raise_for_status()
    eventually(lambda: arrived("trigger"), "everybody was told")
    alert["endsAt"] = dt.datetime.now(dt.UTC).isoformat()
    httpx.post(f"{alertmanager}/api/v2/alerts", json=[alert], trust_env=False).raise_for_status()
    eventually(lambda: arrived("resolve"), "everybody was told that it is over")
    log = (tmp_path / "alertmanager.log").read_text().lower()
    assert "level=warn" not in log
    assert "level=error" not in log
    kept = (sink.state / "inbox.jsonl").read_text()
    assert not any(secret in kept for secret in [*secrets, "s3cret", f"{sink.url}/slack"])
