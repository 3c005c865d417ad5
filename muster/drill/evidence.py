"""What an experiment leaves for people: the picture of its story and the draft of a postmortem, also in its report."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from muster.chaos import outputs
from muster.drill import picture
from muster.drill.postmortem import draft
from muster.drill.recorded import Evidence
from muster.errors import Unknown
from muster.report.allure import links, severity
from muster.system import load_system
from muster.verdict import Verdict

PICTURE, POSTMORTEM = "story.png", "postmortem.md"
BASELINE = Path("baseline") / "summary.json"  # below the run folder: smoke before the first fault


def draw(folder: Path, message: str) -> Path:
    """Draw the experiment recorded in ``folder`` (its timeline.json) as ``story.png`` beside it."""
    file = folder / outputs.FILE
    body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    caption = picture.Caption(
        title=body["title"],
        verdict=Verdict(body["verdict"]),
        message=message,
        measured=body["measured"],
        alert=body["expected"].get("alert", ""),
        page=body["expected"].get("page", ""),
        rate=(body["expected"].get("load") or {}).get("rate"),
    )
    limits = picture.limits_of(load_system(body["system"]))
    return picture.save(picture.draw(outputs.read(file), caption, limits), folder / PICTURE)


def write_postmortem(folder: Path) -> Path:
    """Draft the postmortem of the experiment recorded in ``folder`` as ``postmortem.md`` beside its timeline.json."""
    file = folder / outputs.FILE
    body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    system = load_system(body["system"])
    found = Evidence(timeline=outputs.read(file), body=body, system=system, warnings=_warnings(folder.parents[1]))
    target = folder / POSTMORTEM
    target.write_text(draft(found), encoding="utf-8")
    return target


def _warnings(run: Path) -> list[dict[str, Any]] | None:
    """What smoke warned of before the first fault; None where no baseline was taken (a plain ``chaos run``)."""
    file = run / BASELINE
    if not file.is_file():
        return None
    findings = json.loads(file.read_text(encoding="utf-8"))["findings"]
    return [finding for finding in findings if finding["verdict"] == Verdict.WARN.value]


def attach(config: pytest.Config, result: dict[str, Any]) -> None:
    """Draw the story and draft the postmortem; in Allure they follow a step for each objective."""
    if not result.get("folder"):
        return
    folder = Path(result["folder"])
    png, postmortem = draw(folder, str(result["message"])), write_postmortem(folder)
    if not config.pluginmanager.hasplugin("allure_listener"):
        return
    import allure

    body: dict[str, Any] = json.loads((folder / outputs.FILE).read_text(encoding="utf-8"))
    _label(body)
    for objective in body["objectives"]:
        with suppress(AssertionError, Unknown):
            _step(objective)
    allure.attach.file(str(png), name="the whole story", attachment_type=allure.attachment_type.PNG)
    allure.attach.file(str(postmortem), name="postmortem draft", attachment_type="text/markdown", extension="md")
    allure.attach.file(str(folder / outputs.FILE), name="timeline.json", attachment_type=allure.attachment_type.JSON)


def _label(body: dict[str, Any]) -> None:
    """Title, epic (system), feature, story and severity (of the alert); what this experiment shows as description."""
    import allure

    system, alert = load_system(body["system"]), body["expected"].get("alert", "")
    allure.dynamic.title(f"{body['experiment']}: {body['title']}")
    allure.dynamic.epic(system.name)
    allure.dynamic.feature("Drill")
    allure.dynamic.story(alert or "No alert is expected")
    allure.dynamic.severity(severity(system, [alert] if alert else []))
    if alert:
        for url, name in links(system, system.alerts[alert].runbook):
            allure.dynamic.link(url, name=name)
    allure.dynamic.description(described(body))


def described(body: dict[str, Any]) -> str:
    """What this experiment shows: its title, what was promised of it in the order in which it was judged, and where."""
    promised = list(dict.fromkeys(str(row["objective"]).replace("_", " ") for row in body["objectives"]))
    steps = f"Judged, each a step below: {', '.join(promised)}." if promised else "Nothing of it was judged."
    users = ", with what users saw from second to second," if body["expected"].get("load") else ""
    return f"{body['title']}. {steps} The picture shows when each event came{users} and the postmortem draft tells it."


def _step(objective: dict[str, Any]) -> None:
    """One objective as a step: passed, failed or broken (UNKNOWN)."""
    import allure

    with allure.step(f"{objective['objective'].replace('_', ' ')}: {objective['message']}"):
        verdict = Verdict(objective["verdict"])
        if verdict is Verdict.FAIL:
            raise AssertionError(objective["message"])
        if verdict is Verdict.UNKNOWN:
            raise Unknown(objective["message"])
