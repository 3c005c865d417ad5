"""Links that pages carry: whether whoever is paged can open them."""

from __future__ import annotations

from muster.system.environment import Environment
from muster.system.model import System


def unopened(system: System, environment: Environment) -> str:
    """Why pages of this environment lead to no runbook, as a sentence; empty when they do.

    The embedded environment's do not count: its pages stay on this machine, where the file is.
    """
    if environment.embedded:
        return ""
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
