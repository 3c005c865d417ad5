"""Facts -> Alertmanager's routes and receivers. Nothing is routed to nobody, and what cannot be routed is an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from muster.errors import UsageError
from muster.rules.names import RESPONDER, Subject, identity, receiver, tells
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


def config(system: System, environment: Environment, others: Sequence[Subject] = ()) -> dict[str, Any]:
    """The whole configuration file, of one system or of several: Alertmanager takes one file.

    Each system's routes are one entry of ``route.routes``, and its receivers carry its name and its environment's, so
    that both can stand beside those of anybody else. What belongs to none of them goes to the first one's first level.

    Raises :class:`~muster.errors.UsageError` when somebody is to be told whom an environment gives no channel.
    """
    subjects = ((system, environment), *others)
    return {
        "route": {
            **_told_by_default(system, environment),
            "routes": [*(_routes(*subject) for subject in subjects), _at_once(environment)],
        },
        "receivers": [made for subject in subjects for made in _receivers(*subject)],
    }


def _scaled(environment: Environment, seconds: float) -> str:
    return prom_duration(environment.scaled(seconds))


def _default(system: System) -> list[str]:
    """Who is told of what no route knows: the first level of escalation."""
    return [system.first_level]


def _told_by_default(system: System, environment: Environment) -> dict[str, Any]:
    return {
        "receiver": receiver(system, environment, _default(system)),
        "group_by": ["alertname", "system", "environment", RELEASE],  # a canary's page is not the whole's
        "group_wait": _scaled(environment, environment.group_wait_s),
        "group_interval": _scaled(environment, environment.group_interval_s),
        "repeat_interval": _scaled(environment, environment.repeat_interval_s),
    }


def _no_wait(environment: Environment) -> dict[str, str]:
    # Prometheus sends resolved alerts again for 15 minutes, so an alert that comes back finds its group there and would
    # wait for the group's next interval, whatever its group_wait.
    return {"group_wait": "0s", "group_interval": _scaled(environment, _URGENT_INTERVAL_S)}


def _at_once(environment: Environment) -> dict[str, Any]:
    """The route of what is urgent, to whomever the route above it tells."""
    return {"matchers": [_URGENT], **_no_wait(environment)}


def _routes(system: System, environment: Environment) -> dict[str, Any]:
    """The route of everything that this system raises in this environment; it needs nothing of the routes around it."""
    routes: list[dict[str, Any]] = []
    if environment.responder:
        hook = receiver(system, environment, [RESPONDER])
        routes.append({"receiver": hook, "matchers": [_ACTED_ON], **_no_wait(environment), "continue": True})
    routes += [
        {
            "receiver": receiver(system, environment, tell),
            "matchers": [f'tell="{",".join(tell)}"'],
            "routes": [_at_once(environment)],
        }
        for tell in tells(system)
    ]
    # What carries no known "tell" still goes to the default receiver, and at once when it is urgent. It needs a route:
    # Alertmanager asks a parent's receiver only when no child matched, and the responder's route is such a child.
    routes.append({"receiver": receiver(system, environment, _default(system)), "routes": [_at_once(environment)]})
    own = [f'{key}="{value}"' for key, value in identity(system, environment).items()]
    return {"matchers": own, **_told_by_default(system, environment), "routes": routes}


def _receivers(system: System, environment: Environment) -> list[dict[str, Any]]:
    default, sets = _default(system), tells(system)
    if default not in sets:
        sets.insert(0, default)
    made = [_receiver(system, environment, tell) for tell in sets]
    return [*made, _responder(system, environment)] if environment.responder else made


def _receiver(system: System, environment: Environment, tell: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": receiver(system, environment, tell)}
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


def _responder(system: System, environment: Environment) -> dict[str, Any]:
    hook: dict[str, Any] = {"send_resolved": True, "url": f"{environment.responder.rstrip('/')}/alerts"}
    if environment.responder_token_file:
        hook["http_config"] = _bearer(environment.responder_token_file)
    return {"name": receiver(system, environment, [RESPONDER]), "webhook_configs": [hook]}


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
