"""A fault ends by itself: its watchdog is nobody's child, and heals when the time is over."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from muster.faults import Ledger, expiry, watchdog
from muster.wait import wait_until

GIVEN = {
    "system": "shop",
    "environment": "here",
    "server": "https://127.0.0.1:1",
    "namespace": "shop",
    "target": "deployment/web",
    "undo": {"deployment": "web"},
}
HEAL = """
import json, pathlib, sys
record, tries = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) < int(sys.argv[3]):
    sys.exit("the cluster does not answer")
body = json.loads(record.read_text())
part = record.with_suffix(".part")
part.write_text(json.dumps({**body, "state": "healed"}))
part.replace(record)
"""


@pytest.fixture
def watch(tmp_path):
    """Starts the program as expiry does, with a healing that succeeds at the n-th try; returns (record, tries file)."""
    ledger = Ledger(tmp_path)

    def start(expires_s, needs=1):
        entry = ledger.open("pod_kill", **GIVEN, expires_s=expires_s)
        record, tries = ledger.file_of(entry), tmp_path / "tries"
        heal = [sys.executable, "-c", HEAL, str(record), str(tries), str(needs)]
        program = Path(watchdog.__file__)
        subprocess.run([sys.executable, str(program), str(record), repr(entry.expires_at), *heal], check=True)
        return ledger, entry, tries

    return start


def _watchdogs(entry_id):
    return [each for each in psutil.process_iter(["cmdline"]) if any(entry_id in w for w in each.info["cmdline"] or [])]


def test_watchdog_heals_when_the_time_is_over_and_not_before(watch):
    """It is nobody's child, and ends with its work."""
    ledger, entry, tries = watch(4.0)  # it is looked at before
    (process,) = _watchdogs(entry.id)
    assert process.ppid() not in (os.getpid(), 0)
    assert os.getsid(process.pid) != os.getsid(0)
    wait_until(tries.exists, bool, what="no healing", timeout_s=20)
    assert time.time() >= entry.expires_at
    wait_until(lambda: _watchdogs(entry.id), lambda left: not left, what="the watchdog stayed", timeout_s=20)
    assert not ledger.get(entry.id).open


def test_watchdog_tries_again_and_writes_down_why(watch):
    """A cluster that is away for a moment does not keep its fault."""
    ledger, entry, tries = watch(0, needs=2)
    wait_until(lambda: ledger.get(entry.id).open, lambda left: not left, what="not healed", timeout_s=20)
    assert tries.read_text() == "xx"
    assert "the cluster does not answer" in ledger.file_of(entry).with_suffix(".log").read_text()


def test_watchdog_ends_as_soon_as_somebody_else_has_healed(watch):
    """Between its tries it looks at the record: nobody waits for it, and it heals nothing twice."""
    ledger, entry, tries = watch(0, needs=1000)
    tried = lambda: tries.read_text() if tries.exists() else ""  # noqa: E731
    wait_until(tried, lambda seen: len(seen) >= 3, what="no third try", timeout_s=30)
    ledger.healed(entry)  # the next would be four seconds later
    before = tried()
    wait_until(lambda: _watchdogs(entry.id), lambda left: not left, what="the watchdog stayed", timeout_s=20)
    assert tried() == before


@pytest.mark.parametrize("how", ["healed", "forgotten"])
def test_watchdog_ends_early_when_nothing_is_left_to_do(watch, how):
    """And has healed nothing."""
    ledger, entry, tries = watch(600)
    ledger.healed(entry) if how == "healed" else ledger.forget(entry.id)
    wait_until(lambda: _watchdogs(entry.id), lambda left: not left, what="the watchdog stayed", timeout_s=20)
    assert not tries.exists()


def test_record_that_cannot_be_read_is_watched_on(tmp_path):
    """What is broken is not healed."""
    record = tmp_path / "x.json"
    record.write_text("{")
    assert watchdog.is_open(record)
    record.write_text(json.dumps({"state": "healed"}))
    assert not watchdog.is_open(record)


def test_fault_without_a_watchdog_is_not_injected(tmp_path, monkeypatch):
    """Nobody would end it."""
    ledger = Ledger(tmp_path)
    entry = ledger.open("pod_kill", **GIVEN)
    monkeypatch.setattr(expiry, "_PROGRAM", tmp_path / "missing.py")
    with pytest.raises(expiry.UnwatchedError, match="cannot be started"):
        expiry.watch(ledger, entry)


def test_injection_that_outlasts_its_own_expiry_is_refused(tmp_path):
    """The watchdog has closed the record already: whoever injects must undo it."""
    ledger = Ledger(tmp_path)
    entry = ledger.open("pod_kill", **GIVEN)
    ledger.healed(entry, "expired")
    with pytest.raises(Exception, match="expired while it was being injected"):
        ledger.injected(entry)
