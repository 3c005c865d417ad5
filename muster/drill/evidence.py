"""What an experiment's report shows: the picture of the story and the timeline that it was drawn from."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from muster.chaos import outputs
from muster.drill import picture
from muster.errors import Unknown
from muster.report.allure import links, severity
from muster.system import load_system
from muster.verdict import Verdict

PICTURE = "story.png"


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
    )
    limits = picture.limits_of(load_system(body["system"]))
    return picture.save(picture.draw(outputs.read(file), caption, limits), folder / PICTURE)


def attach(config: pytest.Config, result: dict[str, Any]) -> None:
    """Draw the story; in the Allure result of the running test it stands first, then a step for each objective."""
    if not result.get("folder"):
        return
    folder = Path(result["folder"])
    png = draw(folder, str(result["message"]))
    if not config.pluginmanager.hasplugin("allure_listener"):
        return
    import allure

    body: dict[str, Any] = json.loads((folder / outputs.FILE).read_text(encoding="utf-8"))
    _label(body)
    for objective in body["objectives"]:
        with suppress(AssertionError, Unknown):
            _step(objective)
    allure.attach.file(str(png), name="the whole story", attachment_type=allure.attachment_type.PNG)
    allure.attach.file(str(folder / outputs.FILE), name="timeline.json", attachment_type=allure.attachment_type.JSON)


def _label(body: dict[str, Any]) -> None:
    """Title, epic (system), feature, story and severity (of the alert), and the picture as the description."""
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
    allure.dynamic.description(
        "Detection, page, decision, rollback, proof and recovery: what was promised, step by step."
    )


def _step(objective: dict[str, Any]) -> None:
    """One objective as a step: passed, failed or broken (UNKNOWN)."""
    import allure

    with allure.step(f"{objective['objective'].replace('_', ' ')}: {objective['message']}"):
        verdict = Verdict(objective["verdict"])
        if verdict is Verdict.FAIL:
            raise AssertionError(objective["message"])
        if verdict is Verdict.UNKNOWN:
            raise Unknown(objective["message"])
