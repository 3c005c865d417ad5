"""What a run of checks hands to Allure: labels and links from the facts, readings as evidence, nothing secret.

Allure's own listener follows the checks; what it would write goes through :class:`Writer` instead of Allure's, which
redacts, and neither ends the run nor is silent when the disk is full.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from muster.pytest_plugin.alerts import alert_judged
from muster.read.redact import Redactor
from muster.report import allure
from muster.report.runbook import Section, section_of
from muster.report.sections import section_title
from muster.snapshot import Snapshot
from muster.system import Environment, System

if TYPE_CHECKING:
    from allure_commons.model2 import Globals, TestResult

LISTENER = "allure_listener"  # the name that allure_pytest gives it
LONGEST = 262_144  # characters of a reading that is attached to every check that judges it
_OURS = re.compile(r"^(?:AssertionError|(?:muster\.[\w.]+\.)(?:Breach|Unknown)): ")  # whose words need no class's name
_HOOKS = ("report_result", "report_attached_data", "report_attached_file", "report_globals")


class Evidence:
    """Allure's part of one run. Made only where allure_pytest is loaded."""

    def __init__(self, folder: Path, system: System, redactor: Redactor) -> None:
        self.folder = folder
        self._system = system
        self._texts: dict[str, str] = {}  # reading -> its JSON
        self._sections: dict[str, Section | None] = {}
        self._writer = Writer(folder, redactor)

    def begin(self, config: pytest.Config, *, fresh: bool) -> None:
        """Follow the checks of this run; ``fresh`` removes what an earlier run left in the folder."""
        import allure_commons
        from allure_pytest.listener import AllureListener

        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in _HOOKS:  # marked here, so that Allure is imported only where a run writes results
            allure_commons.hookimpl(getattr(Writer, name))
        listener = AllureListener(config)
        config.pluginmanager.register(listener, LISTENER)
        for plugin in (listener, self._writer):
            allure_commons.plugin_manager.register(plugin)
            config.add_cleanup(partial(allure_commons.plugin_manager.unregister, plugin))

    @property
    def broken(self) -> str:
        """Why not everything could be written; "" when it was."""
        return self._writer.broken

    def label(self, item: pytest.Item, anchor: str) -> None:
        """Title, labels and links of one check, from its name and the facts."""
        if isinstance(item, pytest.Function):
            # One function may be several checks, so Allure fills in which of them it is.
            which = ": {param_id}" if hasattr(item, "callspec") else ""
            item.function.__allure_display_name__ = f"{_words(item)}{which}"
        for kind, value in allure.labels(self._system, anchor, section_title(anchor), alert=alert_judged(item)):
            item.add_marker(pytest.mark.allure_label(value, label_type=kind))
        for url, name in allure.links(self._system, anchor):
            item.add_marker(pytest.mark.allure_link(url, link_type="link", name=name))

    def attach(self, snapshot: Snapshot | None, names: Iterable[str], anchor: str, warned: str) -> None:
        """The readings of the check that runs now, what it warned of, and the section of the runbook behind it."""
        from allure_commons import plugin_manager
        from allure_commons.types import AttachmentType

        if warned:
            plugin_manager.hook.attach_data(
                body=f"WARN: {warned}\n", name="WARN", attachment_type=AttachmentType.TEXT, extension=None
            )
            plugin_manager.hook.add_label(label_type="tag", labels=("WARN",))
        for name in sorted(names):
            if snapshot is not None and name in snapshot.readings:
                if name not in self._texts:
                    self._texts[name] = _shortened(name, snapshot.reading_json(name))
                body = self._texts[name]
                plugin_manager.hook.attach_data(
                    body=body, name=f"reading: {name}", attachment_type=AttachmentType.JSON, extension=None
                )
        if anchor not in self._sections:
            self._sections[anchor] = section_of(self._system, anchor)
        if (section := self._sections[anchor]) is not None:
            title = f"runbook: {section.title}"
            plugin_manager.hook.attach_data(
                body=section.text, name=title, attachment_type="text/markdown", extension="md"
            )

    def finish(self, snapshot_file: Path | None, environment: Environment | None, run: dict[str, str]) -> None:
        """What belongs to the run as a whole: the snapshot, the environment, who ran it, the categories."""
        from allure_commons import plugin_manager
        from allure_commons.types import AttachmentType

        values = {key: run[key] for key in ("system", "environment")}
        if environment is not None:
            values |= {
                "prometheus": environment.prometheus,
                "alertmanager": environment.alertmanager,
                "http": environment.http,
            }
        redacted = {key: self._writer.redactor.text(value) for key, value in values.items()}
        try:
            allure.write_environment(self.folder, redacted)
            allure.write_executor(self.folder, run.get("run", ""))
        except OSError as error:
            self._writer.note(error)
        if snapshot_file is not None and snapshot_file.exists():
            plugin_manager.hook.global_attach_file(
                source=str(snapshot_file), name="snapshot.json", attachment_type=AttachmentType.JSON, extension=None
            )


def _words(item: pytest.Function) -> str:
    """``the alert can fire`` of ``test_the_alert_can_fire[NAME]``."""
    return (item.originalname or item.name).removeprefix("test_").replace("_", " ")


class Writer:
    """Writes Allure's results: the hooks below are allure_commons' (its reference names their arguments)."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self.redactor = redactor
        self.broken = ""
        self._folder = folder
        self._clean: dict[str, bytes] = {}  # text -> without secrets: many checks judge one reading

    def note(self, error: OSError) -> None:
        """Remember the first thing that could not be written."""
        self.broken = self.broken or f"{self._folder} cannot be written: {error.strerror or error}"

    def report_result(self, result: TestResult) -> None:
        """One check. What it says is redacted once more: an exception's traceback may hold anything."""
        body = self.redactor.json(_plain(result))
        if "message" in body.get("statusDetails", {}):
            body["statusDetails"]["message"] = _OURS.sub("", body["statusDetails"]["message"])
        self._write(result.file_pattern.format(prefix=result.uuid), json.dumps(body, ensure_ascii=False).encode())

    def report_attached_data(self, body: str | bytes, file_name: str) -> None:
        """Evidence of one check. Each has a file of its own: Allure's page gives a shared one to the first only."""
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        if text not in self._clean:
            self._clean[text] = self.redactor.text(text).encode()
        self._write(file_name, self._clean[text])

    def report_attached_file(self, source: str, file_name: str) -> None:
        """A file of the run, which was redacted when it was written."""
        try:
            shutil.copyfile(source, self._folder / file_name)
        except OSError as error:
            self.note(error)

    def report_globals(self, globals_item: Globals) -> None:
        """What belongs to the whole run."""
        name = globals_item.file_pattern.format(prefix=uuid.uuid4())
        self._write(name, json.dumps(self.redactor.json(_plain(globals_item))).encode())

    def _write(self, name: str, content: bytes) -> None:
        try:
            (self._folder / name).write_bytes(content)
        except OSError as error:
            self.note(error)


def _shortened(name: str, text: str) -> str:
    """A reading as evidence of each check that judges it. One of a thousand pods stands whole in the snapshot only."""
    if len(text) <= LONGEST:
        return text
    return json.dumps({"reading": name, "characters": len(text), "whole": f"snapshot.json, readings.{name}"}) + "\n"


def _plain(item: Any) -> dict[str, Any]:
    from attr import asdict

    found: dict[str, Any] = asdict(item, filter=lambda _, value: bool(value) or value is False)
    return found
