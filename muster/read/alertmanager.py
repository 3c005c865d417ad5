"""Readings of Alertmanager: who it would tell (its own loaded configuration), and what it holds now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muster.read.failures import ReadError
from muster.read.series import ready
from muster.snapshot import FailureKind

if TYPE_CHECKING:
    from muster.read.session import Session


async def read_routes(session: Session) -> dict[str, Any]:
    """The routing tree in force: ``{"route", "receivers": {name: [kind of integration, ...]}, "responder": bool}``.

    Taken from the configuration that Alertmanager says it runs, not from a file. Only routes and the *kinds* of
    integrations are kept: addresses and keys stay where they are.
    """
    import yaml

    from muster.plain_yaml import read_yaml

    url = f"{_base(session)}/api/v2/status"
    status = await session.http.get_json(url)
    try:
        config = read_yaml(status["config"]["original"])
        return {
            "route": _route(config["route"]),
            "receivers": {receiver["name"]: _kinds(receiver) for receiver in config.get("receivers") or []},
            "responder": bool(session.environment.responder),
        }
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ReadError(FailureKind.UNPARSEABLE, f"{url}: its configuration is not YAML{where}") from None
    except (KeyError, TypeError) as error:
        raise ReadError(FailureKind.UNPARSEABLE, f"{url}: its configuration has no {error}") from None


async def read_notified(session: Session) -> list[dict[str, Any]]:
    """Alerts that Alertmanager holds: name, state (active, suppressed), by which silences, receivers."""
    alerts = await session.http.get_json(f"{_base(session)}/api/v2/alerts")
    return [
        {
            "name": alert["labels"].get("alertname", ""),
            "labels": alert["labels"],
            "state": alert["status"]["state"],
            "silenced_by": alert["status"]["silencedBy"],
            "receivers": [receiver["name"] for receiver in alert["receivers"]],
        }
        for alert in alerts
    ]


async def read_silences(session: Session) -> list[dict[str, Any]]:
    """Silences in force: matchers, end, author, comment."""
    silences = await session.http.get_json(f"{_base(session)}/api/v2/silences")
    return [
        {
            "id": silence["id"],
            "matchers": [
                {
                    "name": matcher["name"],
                    "value": matcher["value"],
                    "regex": matcher["isRegex"],
                    "equal": matcher.get("isEqual", True),
                }
                for matcher in silence["matchers"]
            ],
            "ends_at": silence["endsAt"],
            "by": silence["createdBy"],
            "comment": silence["comment"],
        }
        for silence in silences
        if silence["status"]["state"] == "active"
    ]


async def read_alertmanager_ready(session: Session) -> dict[str, Any]:
    """Whether Alertmanager says that it is ready: ``{"status_code", "said"}``; 503 is an answer, too."""
    return await ready(session, _base(session))


def _base(session: Session) -> str:
    return session.environment.alertmanager.rstrip("/")


def _route(node: dict[str, Any]) -> dict[str, Any]:
    """One node with its matchers in the one form they are judged in, and its children."""
    matchers = [str(matcher) for matcher in node.get("matchers") or []]
    matchers += [f'{name}="{value}"' for name, value in (node.get("match") or {}).items()]
    matchers += [f'{name}=~"{value}"' for name, value in (node.get("match_re") or {}).items()]
    return {
        "receiver": node.get("receiver", ""),
        "matchers": matchers,
        "continue": bool(node.get("continue")),
        "muted": bool(node.get("mute_time_intervals") or node.get("active_time_intervals")),
        "routes": [_route(child) for child in node.get("routes") or []],
    }


def _kinds(receiver: dict[str, Any]) -> list[str]:
    return sorted(key.removesuffix("_configs") for key, value in receiver.items() if key.endswith("_configs") and value)
