"""What an experiment's report shows: the picture of the story and the timeline that it was drawn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from muster.chaos import outputs
from muster.drill import picture
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
    """Draw the story and attach it, with the timeline, to the Allure result of the test that is running."""
    if not result.get("folder"):
        return
    folder = Path(result["folder"])
    png = draw(folder, str(result["message"]))
    if not config.pluginmanager.hasplugin("allure_listener"):
        return
    import allure

    allure.attach.file(str(png), name="the whole story", attachment_type=allure.attachment_type.PNG)
    allure.attach.file(str(folder / outputs.FILE), name="timeline.json", attachment_type=allure.attachment_type.JSON)
