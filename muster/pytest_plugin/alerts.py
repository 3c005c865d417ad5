"""A check that takes ``alert`` is judged once for each alert of the facts, in that alert's section of the runbook."""

from __future__ import annotations

import pytest

from muster.system import System

FIXTURE = "alert"


class EachAlert:
    """The plugin object; its hook is pytest's."""

    def __init__(self, system: System) -> None:
        self._anchors = {name: alert.runbook for name, alert in system.alerts.items()}
        self._anchors[system.no_data.alert] = system.no_data.runbook

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One item for each alert, by its name."""
        if FIXTURE in metafunc.fixturenames:
            alerts = [pytest.param(name, marks=pytest.mark.runbook(at)) for name, at in self._anchors.items()]
            metafunc.parametrize(FIXTURE, alerts, ids=list(self._anchors))


def alert_judged(item: pytest.Item) -> str:
    """The alert that this check is judged for; "" where it is not about one."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get(FIXTURE, "")) if callspec is not None else ""
