"""What is rendered as the facts say, and would not do what it is for: whoever renders it should know."""

from __future__ import annotations

from muster.system.environment import Environment
from muster.system.model import System


def doubts(system: System, environment: Environment) -> list[str]:
    """One sentence each; none for an embedded environment, whose pages and webhooks stay on this machine."""
    if environment.embedded:
        return []
    return [said for said in (_unopened(system, environment), _refused(system, environment)) if said]


def _unopened(system: System, environment: Environment) -> str:
    """Pages that lead to no runbook."""
    linked = [*(alert.runbook for alert in system.alerts.values()), system.no_data.runbook]
    if system.rollback_failed:
        linked.append(system.rollback_failed.runbook)
    links = (system.runbook_url(anchor, environment.runbooks) for anchor in linked)
    if dead := sorted({link.partition("#")[0] for link in links if "://" not in link}):
        return (
            f"pages of {system.name}/{environment.name} link to {', '.join(dead)}, which no browser opens: say in "
            f"environments.{environment.name}.runbooks below which address the runbooks are served"
        )
    return ""


def _refused(system: System, environment: Environment) -> str:
    """A webhook without the token that the responder wants."""
    if environment.responder and not environment.responder_token_file:
        return (
            f"the responder of {system.name}/{environment.name} takes no webhook without its bearer token: say in "
            f"environments.{environment.name}.responder_token_file where Alertmanager finds it"
        )
    return ""
