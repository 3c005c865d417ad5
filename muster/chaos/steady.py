"""One look at the steady state: the checks themselves, run by pytest in a process of their own on a fresh snapshot.

The same checks as ``muster smoke``, not a copy of some: what is healthy is said in one place. A process of its own,
because pytest cannot be nested, and because a look that hangs can then be given up.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from muster.chaos import standby
from muster.errors import UsageError
from muster.verdict import Verdict, exit_code

TIMEOUT_S = 30.0
SUMMARY, SNAPSHOT = "summary.json", "snapshot.json"
# Only what the checks need: every other installed plugin costs start-up time, twice a recovery.
PLUGINS = ("--disable-plugin-autoload", "-p", "muster.pytest_plugin", "-p", "no:cacheprovider")
_CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the checks said of one snapshot, taken at ``at`` (seconds since the epoch)."""

    at: float
    verdict: Verdict
    message: str
    judged: int = 0  # how many checks gave a verdict, whatever it was; one that was skipped gave none
    names: frozenset[str] = frozenset()  # those checks
    failed: dict[str, str] = field(default_factory=dict)  # check -> its sentence
    unknown: tuple[str, ...] = ()  # checks that could not know


def look(
    system: str,
    environment: str,
    select: str = "",
    *,
    chain: bool = False,
    folder: Path | None = None,
    allure: Path | None = None,
) -> Look:
    """Take a snapshot and judge it by the checks that ``select`` (pytest's ``-k``) names; empty means all.

    The checks of the chain from alert to people and rollback (marked ``chain``) only with ``chain``: a drill proves
    that chain, and must find it broken by itself.

    Outputs go to ``folder`` (default: nowhere that lasts), Allure results to ``allure`` (default: none).
    A run that ends without a verdict is UNKNOWN with pytest's last line, never a pass.
    """
    with tempfile.TemporaryDirectory(prefix="muster-steady-") as scratch:
        run = folder or Path(scratch)
        checks = find_checks()
        argv = [*PLUGINS, "--rootdir", str(checks.parent), str(checks)]
        argv += ["--system", system, "--env", environment, "--run-dir", str(run)]
        argv += ["-k", select] if select else []
        argv += [] if chain else ["-m", "not chain"]
        argv += ["-p", "allure_pytest", "--alluredir", str(allure)] if allure else []
        for name in (SUMMARY, SNAPSHOT):
            (run / name).unlink(missing_ok=True)  # an earlier look's words are no answer to this one
        at = time.time()
        process = standby.take()
        code, said = process.run(argv, {**os.environ, "MUSTER_RUN": str(run)}, timeout_s=TIMEOUT_S)
        standby.give_back(process)  # where one look was needed, another will be
        if code is None:
            return Look(at=at, verdict=Verdict.UNKNOWN, message=f"the checks did not end within {TIMEOUT_S:g} s")
        return _read(run, at, code, said)


def _read(run: Path, at: float, code: int, output: str) -> Look:
    try:
        summary = json.loads((run / SUMMARY).read_text(encoding="utf-8"))
        verdict = Verdict(summary["verdict"])
        findings = [finding for finding in summary["findings"] if finding["verdict"] != "SKIP"]  # judged nothing
    except (OSError, ValueError, KeyError) as error:
        lines = [line for line in output.splitlines() if line.strip()]
        said = lines[-1].strip() if lines else f"nothing ({error})"
        message = f"the checks gave no verdict (exit code {code}): {said}"
        return Look(at=at, verdict=Verdict.UNKNOWN, message=message)
    if code != exit_code(verdict):
        message = f"the checks say {verdict.value}, and their run ended with exit code {code}: neither is believed"
        return Look(at=at, verdict=Verdict.UNKNOWN, message=message)
    bad = [finding for finding in findings if finding["verdict"] in ("FAIL", "UNKNOWN")]
    bad.sort(key=lambda finding: finding["verdict"])  # FAIL before UNKNOWN
    message = f"{len(findings)} checks held" if findings else "not one check judged anything"
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        message = f"{bad[0]['check']}: {bad[0]['message']}{more}"
    return Look(
        at=_taken(run, at),
        verdict=verdict,
        message=message,
        judged=len(findings),
        names=frozenset(finding["check"] for finding in findings),
        failed={finding["check"]: finding["message"] for finding in bad if finding["verdict"] == "FAIL"},
        unknown=tuple(finding["check"] for finding in bad if finding["verdict"] == "UNKNOWN"),
    )


def _taken(run: Path, at: float) -> float:
    """When the snapshot was taken, by its own word; the start of the run where it does not say."""
    try:
        taken = json.loads((run / SNAPSHOT).read_text(encoding="utf-8"))["taken_at"]
        return float(taken)
    except (OSError, ValueError, KeyError, TypeError):
        return at


def find_checks() -> Path:
    """``checks/`` of the working folder, else of Muster's own checkout."""
    for base in (Path.cwd(), _CHECKOUT):
        if (base / "checks").is_dir():
            return base / "checks"
    raise UsageError(f"there is no folder checks in {Path.cwd()}")
