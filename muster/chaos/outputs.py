"""timeline.json: what an experiment's run leaves behind. Stable: people's tools depend on it.

Each experiment writes ``experiments/<name>/timeline.json`` in the run folder; ``timeline.json`` beside them has the
same shape for the whole drill, see :mod:`muster.chaos.whole`.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from muster.chaos.whole import SCHEMA, Whole, merge
from muster.judge.objectives import Objectives
from muster.judge.stopping import Stop
from muster.judge.timeline import Judgement
from muster.timeline import Clock, Event, Kind, Timeline

FILE = "timeline.json"
FOLDER = "experiments"


def run_folder(system: str, environment: str) -> Path:
    """The run folder in force (MUSTER_RUN), or a new one below ``reports/`` for a plain ``chaos run``."""
    given = os.environ.get("MUSTER_RUN")
    stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    return Path(given) if given else Path("reports") / f"{stamp}-chaos-{system}-{environment}"


def document(
    timeline: Timeline,
    objectives: Objectives,
    judgement: Judgement,
    *,
    title: str,
    interrupted: str = "",
    stop: Stop | None = None,
) -> dict[str, Any]:
    """The JSON of one experiment."""
    return {
        "schema": SCHEMA,
        "experiment": timeline.experiment,
        "title": title,
        "system": timeline.system,
        "environment": timeline.environment,
        "verdict": judgement.verdict_of(interrupted, stop).value,
        "broken": judgement.broken,
        "interrupted": interrupted,
        "measured": judgement.measured.as_dict(),
        "clock": {
            name: {"skew_s": round(clock.skew_s, 4), "bound_s": round(clock.bound_s, 4)}
            for name, clock in sorted(timeline.clocks.items())
        },
        "objectives": [
            {key: value for key, value in asdict(outcome).items() if value is not None}
            for outcome in judgement.outcomes
        ],
        "expected": objectives.model_dump(exclude_none=True),
        "events": [_event(event) for event in timeline.events],
    }


def _event(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {"at": round(event.at, 4), "kind": event.kind.value, "source": event.source}
    return {**found, "message": event.message, "data": event.data}


def write(run: Path, body: dict[str, Any], whole: Whole | None = None) -> Path:
    """Write one experiment's file and bring the drill's up to date: a session's, which knows what belongs to it.

    Without a session (a plain ``chaos run``) it is made of everything that lies in the run folder.
    """
    file = run / FOLDER / str(body["experiment"]) / FILE
    _save(file, body)
    if whole is not None:
        whole.add(body)
        write_whole(run, whole)
    else:
        files = sorted(run.glob(f"{FOLDER}/*/{FILE}"))
        _save(run / FILE, merge(json.loads(path.read_text("utf-8")) for path in files))
    return file


def write_whole(run: Path, whole: Whole) -> None:
    """Write the drill's file as things stand, over whatever an earlier run has left."""
    _save(run / FILE, whole.body())


def read(file: Path) -> Timeline:
    """The timeline in one experiment's file, to be judged or drawn again."""
    body = json.loads(file.read_text(encoding="utf-8"))
    return Timeline(
        experiment=body["experiment"],
        system=body["system"],
        environment=body["environment"],
        events=tuple(Event(**{**event, "kind": Kind(event["kind"])}) for event in body["events"]),
        clocks={name: Clock(**clock) for name, clock in body.get("clock", {}).items()},
    )


def _save(file: Path, body: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(file)
