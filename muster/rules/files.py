"""Rendered texts as files: what ``muster rules`` prints, writes and compares."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from muster.rules import alertmanager, cases, grafana, prometheus
from muster.rules.names import Subject
from muster.system.environment import Environment
from muster.system.model import System

_RENDERERS: dict[str, tuple[str, Callable[[System, Environment], dict[str, Any]]]] = {
    "prometheus": ("rules/{system}.yml", prometheus.rule_file),
    "prometheusrule": ("prometheusrule/{system}.yml", prometheus.prometheus_rule),
    "cases": ("cases/{system}.yml", cases.case_file),
}
_ROUTES = "alertmanager.yml"  # one for all systems: Alertmanager takes one file
FORMATS = (*_RENDERERS, "alertmanager", "grafana")
_TRUE_SCALE = ("prometheus", "alertmanager", "prometheusrule", "cases")  # dashboards are Grafana's, and have a folder
_AT_ANY_SCALE = ("prometheus", "alertmanager")
_HEAD = "# Rendered from {systems} for {environment} by 'muster rules': do not edit.\n"
_HEADED = re.compile(r"# Rendered from (?P<systems>.+) for (?P<environment>\S+) by 'muster rules'")


def files(system: System, environment: Environment, kind: str, others: Sequence[Subject] = ()) -> dict[str, str]:
    """The texts of one of FORMATS by path below the folder that they are written to.

    ``others`` are further systems: their routes stand in the same file, everything else in files of their own.
    Raises :class:`~muster.errors.UsageError` when the facts do not suffice for it.
    """
    subjects = ((system, environment), *others)
    if kind == "alertmanager":
        return {_ROUTES: _yaml(subjects, alertmanager.config(system, environment, others))}
    found: dict[str, str] = {}
    for subject in _renderable(subjects, kind, asked=True):
        if kind == "grafana":
            made = grafana.dashboards(*subject)
            found |= {f"{uid}.json": json.dumps(body, indent=1) + "\n" for uid, body in made.items()}
        else:
            path, make = _RENDERERS[kind]
            found[path.format(system=subject[0].name)] = _yaml((subject,), make(*subject))
    return found


def render(system: System, environment: Environment, kind: str, others: Sequence[Subject] = ()) -> str:
    """One of FORMATS as text, as it is printed: one document for each file."""
    return "---\n".join(files(system, environment, kind, others).values())


def write(
    system: System,
    environment: Environment,
    folder: Path,
    kinds: tuple[str, ...] = (),
    others: Sequence[Subject] = (),
) -> list[Path]:
    """Write ``rules/<system>.yml``, ``alertmanager.yml`` and, at true scale, the other texts below ``folder``.

    The cases prove true-scale rules, so they are left out of a scaled environment unless ``kinds`` names them; the
    dashboards (``<uid>.json``) are written when ``kinds`` names ``grafana``.
    All texts are rendered before the first file is touched. Returns the files written.
    """
    texts = _texts(system, environment, folder, kinds, others)
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(file)  # a reader never sees half a file
        finally:
            part.unlink(missing_ok=True)
    return list(texts)


def differing(
    system: System,
    environment: Environment,
    folder: Path,
    kinds: tuple[str, ...] = (),
    others: Sequence[Subject] = (),
) -> dict[Path, str]:
    """The files below ``folder`` that are not as they would be written now, each with a unified diff.

    The diff is empty where the file is missing. Raises OSError for a file that cannot be read.
    """
    found = {}
    for file, text in _texts(system, environment, folder, kinds, others).items():
        if not file.is_file():
            found[file] = ""
        elif (there := file.read_text(encoding="utf-8", errors="replace")) != text:
            lines = (there.splitlines(), text.splitlines())
            diff = difflib.unified_diff(*lines, str(file), "the facts, rendered now", n=1, lineterm="")
            found[file] = "\n".join(diff) or "only its line ends differ"
    return found


def taken(folder: Path, subjects: Sequence[Subject], kinds: tuple[str, ...] = ()) -> str:
    """Why writing these below ``folder`` would destroy what was rendered for others, as a sentence; empty when not."""
    environment = subjects[0][1]
    known = [_source(system) for system, _ in subjects]
    for file in _yaml_files(folder, subjects, kinds):
        head = _HEADED.match(_first_line(file))
        if head and head["environment"] != environment.name:
            return f"{file} was rendered for {head['environment']}: give each environment a folder of its own"
        if head and (lost := [one for one in head["systems"].split(", ") if one not in known]):
            names = " ".join(Path(one).stem for one in (*lost, *known))
            return (
                f"{file} has the routes of {' and '.join(lost)}, too, and Alertmanager takes one file: name them all "
                f"(muster rules {names} --env {environment.name} ...), name another folder, or delete that file"
            )
    return ""


def _yaml_files(folder: Path, subjects: Sequence[Subject], kinds: tuple[str, ...]) -> list[Path]:
    paths = {"alertmanager": _ROUTES, **{kind: path for kind, (path, _) in _RENDERERS.items()}}
    wanted = [
        (paths[kind], _renderable(subjects, kind, asked=bool(kinds))) for kind in kinds or _TRUE_SCALE if kind in paths
    ]
    return [folder / path.format(system=system.name) for path, of in wanted for system, _ in of]


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            return lines.readline()
    except OSError:
        return ""  # nothing is there, or writing it will say why not


def _texts(
    system: System, environment: Environment, folder: Path, kinds: tuple[str, ...], others: Sequence[Subject]
) -> dict[Path, str]:
    found: dict[Path, str] = {}
    for kind in kinds or _TRUE_SCALE:
        if of := _renderable(((system, environment), *others), kind, asked=bool(kinds)):
            (first, there), *rest = of
            found |= {folder / path: text for path, text in files(first, there, kind, rest).items()}
    return found


def _renderable(subjects: Sequence[Subject], kind: str, *, asked: bool) -> list[Subject]:
    """Those for which there is such a text: unless it is asked for, cases and objects only of what is not scaled.

    One system without dashboards is a mistake that its renderer tells; beside others that have some it is none.
    """
    if kind == "grafana":
        return [subject for subject in subjects if subject[0].dashboards] or list(subjects[:1])
    if asked or kind in _AT_ANY_SCALE:
        return list(subjects)
    return [(system, environment) for system, environment in subjects if environment.time_scale == 1]


def _yaml(subjects: Iterable[Subject], body: dict[str, Any]) -> str:
    systems, environments = zip(*subjects, strict=True)
    head = _HEAD.format(systems=", ".join(map(_source, systems)), environment=environments[0].name)
    return head + yaml.dump(body, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def _source(system: System) -> str:
    return f"systems/{system.name}.yaml"


class _Plain(yaml.SafeDumper):
    """No anchors: people read these files, and Prometheus' own tools print them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
