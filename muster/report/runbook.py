"""A runbook as people read it: Markdown, one section for each alert, with numbered steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from muster.errors import UsageError
from muster.system.model import System

_HEADING = re.compile(r"^## +(.+?)\s*$")
_STEP = re.compile(r"^(\d+)\. +(.+?)\s*$")
_FENCE = "```"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One numbered step: its number and its text, on one line."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section: its anchor as in ``<runbook>#<anchor>``, its heading, its Markdown and its numbered steps."""

    anchor: str
    title: str
    text: str
    steps: tuple[Step, ...]


def sections(markdown: str) -> list[Section]:
    """Every ``## section`` of a runbook, in order."""
    return list(_parsed(markdown))


@lru_cache(maxsize=8)  # each check shows its section: a runbook is taken apart once
def _parsed(markdown: str) -> tuple[Section, ...]:
    found: list[tuple[str, list[str]]] = []
    fenced = False
    for line in markdown.splitlines():
        fenced ^= line.lstrip().startswith(_FENCE)
        heading = None if fenced else _HEADING.match(line)
        if heading:
            found.append((heading[1], []))
        elif found:
            found[-1][1].append(line)
    return tuple(_section(title, lines) for title, lines in found)


def of(system: System, runbook: str) -> list[Section]:
    """The sections of one of the system's runbooks; none when the facts name no file for it.

    Raises :class:`~muster.errors.UsageError` when the file that they name cannot be read.
    """
    file = system.runbook_file(runbook)
    return sections(_read(file)) if file is not None else []


def section_of(system: System, anchor: str) -> Section | None:
    """The section of ``<runbook>#<section>``; None where it cannot be shown, which is no reason not to judge."""
    runbook, _, wanted = anchor.partition("#")
    file = system.runbook_file(runbook) if runbook in system.runbooks else None
    if file is None or not file.is_file():
        return None
    return next((section for section in sections(_read(file)) if section.anchor == wanted), None)


def anchor_of(title: str) -> str:
    """``pqc-handshake-failure`` of ``PQC handshake failure``, as GitHub makes anchors."""
    return re.sub(r"[^a-z0-9]+", "-", title.strip().lower()).strip("-")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"runbook {file} cannot be read: {error}") from None


def _section(title: str, lines: list[str]) -> Section:
    steps: list[Step] = []
    for line in lines:
        begun = _STEP.match(line)
        if begun:
            steps.append(Step(number=int(begun[1]), text=begun[2]))
        elif steps and line.startswith("   ") and line.strip():  # a step that goes on over the line
            steps[-1] = Step(number=steps[-1].number, text=f"{steps[-1].text} {line.strip()}")
    text = "\n".join([f"## {title}", *lines]).rstrip() + "\n"
    return Section(anchor=anchor_of(title), title=title, text=text, steps=tuple(steps))
