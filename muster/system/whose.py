"""Whose an alert is, by its labels: a Prometheus and an Alertmanager are shared with everybody on the cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from muster.system.model import System


def alert_names(system: System) -> frozenset[str]:
    """The names by which alerts of the facts go, the other runbooks' names for them included."""
    failed = [system.rollback_failed.alert] if system.rollback_failed is not None else []
    aliases = [alias for alert in system.alerts.values() for alias in alert.aliases]
    return frozenset([*system.alerts, *aliases, system.no_data.alert, *failed])


def is_ours(
    labels: Mapping[str, str],
    *,
    system: str,
    environment: str,
    names: Collection[str] = (),
    take_unlabelled: bool = False,
) -> bool:
    """Whether an alert is of this system in this environment.

    One that names this system and no environment is. One that names no system is only if it is called as an alert of
    the facts is (``names``, rules written by hand), or if nobody else's alerts come there (``take_unlabelled``): on
    every cluster some alert without such labels fires all the time.
    """
    of, where = labels.get("system", ""), labels.get("environment", "")
    if where not in ("", environment):
        return False
    return of == system if of else take_unlabelled or labels.get("alertname", "") in names
