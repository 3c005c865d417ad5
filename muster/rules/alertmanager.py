"""Facts -> Alertmanager's routes and receivers. Nothing is routed to nobody, and what cannot be routed is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from muster.errors import UsageError
from muster.rules.names import RESPONDER, identity, receiver, tells
from muster.system.environment import Channel, Environment
from muster.system.model import System
from muster.system.promql import RELEASE, prom_duration

_URGENT = 'level=~"critical|rollback"'  # these do not wait to be grouped
_ACTED_ON = 'action=~"rollback|restart|scale"'  # what the responder carries out or proposes
_URGENT_INTERVAL_S = 5.0  # at true scale
# What alerts of one group do not share has no common annotation, and nobody is woken by an empty title.
_TITLE = (
    "{{ with .CommonAnnotations.summary }}{{ . }}{{ else }}"
    "{{ (index .Alerts 0).Annotations.summary }} (the first of {{ len .Alerts }}){{ end }}"
)
_TEXT = "{{ range .Alerts }}{{ .Annotations.description }}\n{{ .Annotations.runbook_url }}\n{{ end }}"


def config(system: System, environment: Environment) -> dict[str, Any]:
    """The whole configuration file.

    Raises :class:`~muster.errors.UsageError` when somebody is to be told whom this environment gives no channel.
    """
    default = _default(system)
    sets = tells(system)
    if default not in sets:
        sets.insert(0, default)
    receivers = [_receiver(system, environment, tell) for tell in sets]
    if environment.responder:
        receivers.append(_responder(environment))
    return {
        "route": {
            "receiver": receiver(default),
            "group_by": ["alertname", "system", "environment", RELEASE],  # a canary's page is not the whole's
            "group_wait": _scaled(environment, environment.group_wait_s),
            "group_interval": _scaled(environment, environment.group_interval_s),
            "repeat_interval": _scaled(environment, environment.repeat_interval_s),
            "routes": _routes(system, environment),
        },
        "receivers": receivers,
    }


def _scaled(environment: Environment, seconds: float) -> str:
    return prom_duration(environment.scaled(seconds))


def _default(system: System) -> list[str]:
    """Who is told of what no route knows: the first level of escalation."""
    return [system.first_level]


def _routes(system: System, environment: Environment) -> list[dict[str, Any]]:
    own = [f'{key}="{value}"' for key, value in identity(system, environment).items()]
    # Prometheus sends resolved alerts again for 15 minutes, so an alert that comes back finds its group there and would
    # wait for the group's next interval, whatever its group_wait.
    at_once = {"group_wait": "0s", "group_interval": _scaled(environment, _URGENT_INTERVAL_S)}
    routes: list[dict[str, Any]] = []
    if environment.responder:
        routes.append({"receiver": RESPONDER, "matchers": [*own, _ACTED_ON], **at_once, "continue": True})
    routes += [
        {
            "receiver": receiver(tell),
            "matchers": [*own, f'tell="{",".join(tell)}"'],
            "routes": [{"matchers": [_URGENT], **at_once}],
        }
        for tell in tells(system)
    ]
    # What carries no known "tell" still goes to the default receiver, and at once when it is urgent.
    routes.append({"matchers": [_URGENT], **at_once})
    return routes


def _receiver(system: System, environment: Environment, tell: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": receiver(tell)}
    for contact in tell:
        if contact not in environment.contacts:
            raise UsageError(
                f"environments.{environment.name}.contacts of {system.name}: nothing says how to reach {contact!r}, "
                f"whom alerts tell"
            )
        channel = environment.contacts[contact]
        kind, make = _CHANNELS[channel.kind]
        made.setdefault(kind, []).append({"send_resolved": True, **make(channel)})
    return made


def _responder(environment: Environment) -> dict[str, Any]:
    hook: dict[str, Any] = {"send_resolved": True, "url": f"{environment.responder.rstrip('/')}/alerts"}
    if environment.responder_token_file:
        hook["http_config"] = _bearer(environment.responder_token_file)
    return {"name": RESPONDER, "webhook_configs": [hook]}


def _bearer(file: str) -> dict[str, Any]:
    return {"authorization": {"type": "Bearer", "credentials_file": file}}


def _pagerduty(channel: Channel) -> dict[str, Any]:
    common = ("severity", "sev", "system", "environment", "slo", "level", "action", "tell", "owner")
    return {
        "routing_key_file": channel.secret_file,
        "url": channel.url,
        "client": "Alertmanager",
        "description": f"{{{{ .GroupLabels.alertname }}}} {_TITLE}",
        "severity": "{{ if .CommonLabels.severity }}{{ .CommonLabels.severity }}{{ else }}critical{{ end }}",
        "class": "{{ .GroupLabels.alertname }}",
        "component": "{{ .GroupLabels.system }}",
        "group": "{{ .GroupLabels.environment }}",
        "details": {
            "alert": "{{ .GroupLabels.alertname }}",
            **{label: f"{{{{ .CommonLabels.{label} }}}}" for label in common},
            "description": "{{ range .Alerts }}{{ .Annotations.description }}\n{{ end }}",
            "runbook_url": "{{ .CommonAnnotations.runbook_url }}",
            "escalation": "{{ .CommonAnnotations.escalation }}",
        },
    }


def _webhook(channel: Channel) -> dict[str, Any]:
    return {"url": channel.url, **({"http_config": _bearer(channel.secret_file)} if channel.secret_file else {})}


def _slack(channel: Channel) -> dict[str, Any]:
    return {"api_url_file": channel.secret_file, "channel": channel.to, "title": _TITLE, "text": _TEXT}


def _email(channel: Channel) -> dict[str, Any]:
    server = urlsplit(channel.url)
    made: dict[str, Any] = {
        "to": channel.to,
        "from": channel.sender or channel.to,
        "smarthost": f"{server.hostname}:{server.port or 587}",
        "headers": {"Subject": _TITLE},
        "text": _TEXT,
    }
    if channel.secret_file:
        made |= {"auth_username": server.username or channel.to, "auth_password_file": channel.secret_file}
    return made


_CHANNELS: dict[str, tuple[str, Callable[[Channel], dict[str, Any]]]] = {
    "pagerduty": ("pagerduty_configs", _pagerduty),
    "webhook": ("webhook_configs", _webhook),
    "slack": ("slack_configs", _slack),
    "email": ("email_configs", _email),
}
