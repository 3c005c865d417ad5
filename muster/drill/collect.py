"""Experiments as pytest items: ``pytest experiments`` collects each YAML file there and runs it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from muster.chaos import run as chaos
from muster.drill import evidence
from muster.errors import MusterError, Unknown
from muster.verdict import Verdict

EXPERIMENTS = "experiments"


class ObjectivesNotMet(AssertionError):  # noqa: N818 - says what happened
    """The experiment ran, and something that was promised did not happen. Its text has a line for each objective."""


class ExperimentFile(pytest.File):
    """One Chaos Toolkit file."""

    def collect(self) -> Iterable[pytest.Item]:
        """The one item in it."""
        yield Experiment.from_parent(self, name=self.path.stem)


class Experiment(pytest.Item):
    """One experiment. ``result`` is ``journal["muster"]`` once it has run."""

    result: dict[str, Any] | None = None

    def runtest(self) -> None:
        """Run it. FAIL is an AssertionError, UNKNOWN is Unknown; an interruption ends the whole run."""
        if hasattr(self.config, "workerinput"):
            raise Unknown("an experiment breaks things: it runs alone, never under -n")
        journal = chaos.run(self.path)
        self.result = journal.get("muster") or {
            "verdict": Verdict.UNKNOWN.value,
            "message": f"it ended {journal['status']} without being judged",
        }
        evidence.attach(self.config, self.result)
        if self.result.get("stopped"):
            self.session.shouldfail = self.result["message"]  # what was agreed for one holds for those after it
        elif journal["status"] == "interrupted" and not self.result["message"].startswith("the experiment could not"):
            raise KeyboardInterrupt(self.result["message"])
        verdict = Verdict(self.result["verdict"])
        if verdict is Verdict.FAIL:
            raise ObjectivesNotMet("\n".join([self.result["message"], *self.lines()]))
        if verdict is Verdict.UNKNOWN:
            raise Unknown("\n".join([self.result["message"], *self.lines()]))

    def lines(self) -> list[str]:
        """A line for each objective, the worst first."""
        objectives = (self.result or {}).get("objectives", [])
        ordered = sorted(objectives, key=lambda item: -Verdict(item["verdict"]).rank)
        return [f"  {item['verdict']:<8}{item['objective']}: {item['message']}" for item in ordered]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentences, not a traceback through Chaos Toolkit."""
        if isinstance(excinfo.value, ObjectivesNotMet | MusterError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where pytest says it is."""
        return self.path, 0, f"experiment: {self.name}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ExperimentFile | None:
    """Collect ``experiments/*.yaml``, and what was named itself, wherever it lies."""
    named = file_path.suffix in (".yaml", ".yml", ".json") and parent.session.isinitpath(file_path)
    if named or (file_path.suffix == ".yaml" and file_path.parent.name == EXPERIMENTS):
        collected: ExperimentFile = ExperimentFile.from_parent(parent, path=file_path)
        return collected
    return None
