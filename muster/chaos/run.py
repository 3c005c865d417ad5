"""Running one experiment file, as ``chaos run`` does, in this process; chaoslib wants the main thread for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from muster.errors import UsageError

RECORDER = "muster.chaos.recorder"


def load(file: Path) -> dict[str, Any]:
    """The experiment in a file, validated. Raises :class:`~muster.errors.UsageError` in one sentence.

    More is asked than by Chaos Toolkit: rollbacks must always be played, and the recorder must record under the file's
    own name.
    """
    from chaoslib.exceptions import ChaosException
    from chaoslib.experiment import ensure_experiment_is_valid
    from chaoslib.loader import load_experiment

    try:
        experiment: dict[str, Any] = load_experiment(str(file))
        ensure_experiment_is_valid(experiment)
    except (ChaosException, OSError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: {error}") from None
    if _within(experiment, "runtime", "rollbacks", "strategy") != "always":
        raise UsageError(f"{file}: runtime.rollbacks.strategy: expected always, or an interrupted run would not heal")
    controls = experiment.get("controls")
    names = [
        str(_within(control, "provider", "arguments", "name"))
        for control in (controls if isinstance(controls, list) else [])
        if _within(control, "provider", "module") == RECORDER
    ]
    if names != [file.stem]:
        raise UsageError(f"{file}: controls: expected one {RECORDER} with arguments {{name: {file.stem}}}")
    return experiment


def _within(value: Any, *keys: str) -> Any:
    """What stands below these keys; None where anything on the way is missing or no mapping."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def run(file: Path) -> dict[str, Any]:
    """Run the experiment and return Chaos Toolkit's journal; ``journal["muster"]`` holds the verdict on its objectives.

    The journal is also written beside the experiment's timeline.
    """
    from chaoslib.experiment import run_experiment

    experiment = load(file)
    journal: dict[str, Any] = run_experiment(experiment, settings={"runtime": experiment["runtime"]})
    folder = journal.get("muster", {}).get("folder")
    if folder:
        text = json.dumps(journal, indent=1, ensure_ascii=False, default=str)
        (Path(folder) / "journal.json").write_text(text + "\n", encoding="utf-8")
    return journal
