"""The HTML report: one run's Allure results, with the history of the runs before it, made by Allure 3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from muster.errors import MusterError, UsageError
from muster.report import page

CHECKOUT = Path(__file__).resolve().parents[2]
CONFIGURATION = CHECKOUT / "reports"
BUILD_TIMEOUT_S = 120.0
HISTORY_RUNS = 20


def runs(reports: Path) -> list[Path]:
    """The run folders that hold Allure results, oldest first (their names begin with the UTC time)."""
    if not reports.is_dir():
        return []
    folders = (folder for folder in reports.iterdir() if folder.is_dir() and not folder.is_symlink())
    return sorted(folder for folder in folders if any((folder / "allure-results").glob("*-result.json")))


def choose(reports: Path, name: str | None) -> Path:
    """The run of that name, or the newest. Raises :class:`UsageError` that names what there is."""
    known = runs(reports)
    if not known:
        raise UsageError(f"there is no run to report in {reports}: run 'make smoke' or 'make drill' first")
    if name is None:
        return known[-1]
    for folder in known:
        if folder.name == name:
            return folder
    raise UsageError(f"there is no run {name!r} in {reports}; the newest is {known[-1].name}")


def system_of(run: Path) -> str:
    """The system that a run was about, as its summary says. Raises :class:`MusterError` when it says nothing."""
    try:
        return str(json.loads((run / "summary.json").read_text(encoding="utf-8"))["system"])
    except (OSError, ValueError, KeyError, TypeError):
        raise MusterError(f"{run} holds no summary.json that names its system: run it again") from None


def build(
    reports: Path,
    run: Path,
    pages: Mapping[str, str] | None = None,
    attached: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> Path:
    """Build ``reports/html`` from ``run`` and return its index page. The old one stays until the new is whole.

    ``pages`` are further pages of the report (path in it -> HTML); those ``attached`` are also shown among the
    report's global attachments, where a reader of Allure's own page finds them. ``links`` are names of links in the
    results that lead to such pages.
    """
    allure = CHECKOUT / "node_modules" / ".bin" / "allure"
    if not allure.exists() or shutil.which("node") is None:
        raise MusterError("the report builder is not installed: run 'make report' (it needs Node 20 or newer with npm)")
    history = _history(reports, run, allure)
    fresh, final = reports / ".html-new", reports / "html"
    shutil.rmtree(fresh, ignore_errors=True)
    with TemporaryDirectory() as extra:
        _attach(Path(extra), {name: (pages or {})[name] for name in attached})
        _allure(
            [str(allure), "generate", str((run / "allure-results").resolve()), extra],
            {
                "MUSTER_REPORT_NAME": f"Muster: {run.name}",
                "MUSTER_REPORT_OUTPUT": str(fresh.resolve()),
                "MUSTER_REPORT_HISTORY": str(history.resolve()),
            },
        )
    if not (fresh / "index.html").is_file():
        raise MusterError(f"Allure made no report from {run}")
    index = fresh / "index.html"
    index.write_text(page.with_links(index.read_text(encoding="utf-8"), links or {}), encoding="utf-8")
    for name, text in (pages or {}).items():
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).write_text(text, encoding="utf-8")
    shutil.rmtree(final, ignore_errors=True)
    fresh.rename(final)
    return final / "index.html"


def _attach(folder: Path, pages: Mapping[str, str]) -> None:
    """Allure results that hold nothing but these pages, as attachments of the whole run."""
    attachments = []
    for name, text in pages.items():
        source = f"{uuid.uuid4()}-attachment.html"
        (folder / source).write_text(text, encoding="utf-8")
        attachments.append({"name": name, "source": source, "type": "text/html", "timestamp": int(time.time() * 1000)})
    body = json.dumps({"attachments": attachments})
    (folder / f"{uuid.uuid4()}-globals.json").write_text(body, encoding="utf-8")


def _history(reports: Path, run: Path, allure: Path) -> Path:
    """Allure's history file with the runs before ``run``, each added once; a first report starts with the last few."""
    history, ledger = reports / "history.jsonl", reports / "history-runs.json"
    earlier = [folder.name for folder in runs(reports) if folder.name < run.name]
    known = _names(ledger) if history.is_file() else []
    if not known or known != earlier[: len(known)]:  # first report, an older run asked for, or runs removed
        history.unlink(missing_ok=True)
        known = earlier[:-HISTORY_RUNS]
    with TemporaryDirectory() as folder:  # `allure history` leaves an empty report where it stands
        for name in earlier[len(known) :]:
            results = (reports / name / "allure-results").resolve()
            _allure([str(allure), "history", "--history-path", str(history.resolve()), str(results)], {}, Path(folder))
            known.append(name)
            ledger.write_text(json.dumps(known), encoding="utf-8")
    return history


def _names(ledger: Path) -> list[str]:
    try:
        names = json.loads(ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _allure(command: list[str], environment: dict[str, str], folder: Path = CONFIGURATION) -> None:
    """Run Allure in ``folder``; beside its configuration it takes its places from the environment."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MusterError(f"Allure did not finish within {BUILD_TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise MusterError(f"Allure could not be started: {error}") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise MusterError(f"Allure could not build the report: {lines[-1] if lines else f'exit {done.returncode}'}")
