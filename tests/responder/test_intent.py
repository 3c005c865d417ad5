"""What is done with an intent that a crash left in the Lease: when it is begun, when no more, and never twice."""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from muster.kube import KubeError
from muster.release import Proof
from muster.responder import course, strategy
from muster.responder.course import Course
from muster.responder.lock import Intent
from muster.responder.strategy import UserCommand, World
from muster.verdict import Verdict

HOURS_AGO = 10 * 3600.0


class Records:
    """A journal, a lock and a pager that remember what they were told; ``errors`` are what the lock meets next."""

    def __init__(self):
        self.started_times, self.proofs, self.paged, self.lasts, self.intent = 0, [], [], [], None
        self.errors = []

    def outcome(self, _intent, _kind):
        return None

    def started(self, _intent):
        self.started_times += 1

    def proven(self, _intent, proof):
        self.proofs.append((proof.verdict, proof.message))

    def symptom(self, _intent, _symptom):
        """Not of interest."""

    def note(self, _intent, _message):
        """Not of interest."""

    def page(self, _alert, _key, why):
        self.paged.append(why)

    def mark(self, intent):
        self.intent = intent
        if self.errors:
            raise self.errors.pop(0)

    def renew(self):
        """Of the lock."""

    def release(self, last, **_of):
        self.lasts.append(last)


class Undo:
    """A strategy over a cluster of one word: the release that is asked for."""

    once = False

    def __init__(self, asked_for):
        self.asked_for, self.undone = asked_for, 0

    def overtaken(self, bad):
        return "" if self.asked_for == bad.template_hash else f"deployment web asks for {self.asked_for}"

    def look(self):
        return SimpleNamespace(current=SimpleNamespace(template_hash=self.asked_for))

    def roll_back(self, bad, target, tick):
        self.undone += 1
        self.asked_for = target.template_hash

    def prove(self, bad, target, tick):
        good = self.asked_for == target.template_hash
        verdict = Verdict.PASS if good else Verdict.FAIL
        return Proof(verdict=verdict, message=f"{self.asked_for} serves", revision=1, digests=(), took_s=0.1)

    def remember(self, bad, at):
        """Not of interest."""


@pytest.fixture
def intent(release):
    """A rollback that was decided so long ago."""

    def _make(ago_s=0.0, **changes):
        decided_at = time.time() - ago_s
        return Intent(alert="A", key="k", bad=release(), target=release(1, "good"), decided_at=decided_at, **changes)

    return _make


@pytest.fixture
def run(make_env, system, monkeypatch):
    """``run(strategy, intent, told)`` carries it out and returns what was recorded."""
    gone = SimpleNamespace(verdict=Verdict.PASS, message="gone")
    monkeypatch.setattr(course, "watch", lambda *_, **__: gone)
    monkeypatch.setattr(course, "_RETRIES_S", (0.0, 0.0))

    def _run(way, intent, told=None, **changes):
        told = told or Records()
        world = World(kube=None, monitor=None, system=system, env=make_env(**changes))
        given = {"world": world, "strategy": way, "lock": told, "journal": told, "escalation": told}
        Course(**given, stop=threading.Event()).run(intent)
        return told

    return _run


def freeze(hours=1):
    """A window that lasts now."""
    begins, ends = (datetime.now(UTC) + timedelta(hours=by) for by in (-hours, hours))
    return [{"from": begins.isoformat(), "until": ends.isoformat(), "why": "the election"}]


def test_an_old_intent_is_not_begun_any_more(run, intent):
    """The next morning people have mended the cause, and an undo would take their revision away: they are told."""
    way = Undo("bad")
    told = run(way, intent(HOURS_AGO))
    assert way.undone == 0
    ((verdict, message),) = told.proofs
    assert verdict is Verdict.FAIL
    assert message.startswith("not taken up any more, because it was decided 10h")
    assert told.paged == [message]
    assert [last.verdict for last in told.lasts] == ["FAIL"]  # the lock is given up


def test_what_was_done_before_a_long_crash_is_still_proven(run, intent):
    """The undo was accepted, and its proof is owed however late."""
    way = Undo("good")
    told = run(way, intent(HOURS_AGO))
    assert (way.undone, told.proofs, told.paged) == (0, [(Verdict.PASS, "good serves")], [])
    assert [last.verdict for last in told.lasts] == ["PASS"]


def test_a_young_intent_is_begun(run, intent):
    """Fourteen minutes: whoever takes it up is in time."""
    way = Undo("bad")
    assert run(way, intent(840.0)).proofs == [(Verdict.PASS, "good serves")]
    assert way.undone == 1


@pytest.mark.parametrize(("asked_for", "verdict"), [("bad", Verdict.FAIL), ("good", Verdict.PASS)])
def test_nothing_is_begun_in_a_freeze_and_what_was_done_is_proven(run, intent, asked_for, verdict):
    """A responder that comes back on the weekend changes nothing."""
    way = Undo(asked_for)
    told = run(way, intent(60.0), freeze=freeze())
    assert (way.undone, told.proofs[0][0]) == (0, verdict)
    assert bool(told.paged) is (verdict is Verdict.FAIL)
    assert all("the election" in why for why in told.paged)


def test_an_old_restart_is_not_begun_any_more(run, intent, monkeypatch):
    """As little as an old rollback; one that the crashed run has asked for is proven."""
    ends = []
    told = Records()
    told.remedy_started = lambda *_: ends.append("started")
    told.remedy_proven = lambda _intent, verdict, message: ends.append((verdict, message))
    monkeypatch.setattr(course, "apply_remedy", lambda *_, **__: ends.append("applied"))
    monkeypatch.setattr(course, "is_applied", lambda *_, **__: False)
    run(None, intent(HOURS_AGO, remedy="restart"), told)
    ((verdict, message),) = ends
    assert verdict is Verdict.FAIL
    assert message.startswith("not taken up any more")
    assert told.lasts == [None]
    ends.clear()
    healed = SimpleNamespace(verdict=Verdict.PASS, message="3 of 3")
    monkeypatch.setattr(course, "is_applied", lambda *_, **__: True)
    monkeypatch.setattr(course, "prove_remedy", lambda *_, **__: healed)
    run(None, intent(HOURS_AGO, remedy="restart"), told)
    assert ends == [(Verdict.PASS, "3 of 3")]


# -- a command of the user's ------------------------------------------------------------------------------------------


@pytest.fixture
def command(make_env, system, tmp_path, monkeypatch, release):
    """A command that writes a line at each run; ``cluster.reads`` are what reading the cluster gives, in turn."""
    ran = tmp_path / "ran"
    argv = [sys.executable, "-c", f"open({str(ran)!r}, 'a').write('once\\n')"]
    env = make_env(rollback={"strategy": "command", "command": {"argv": argv, "timeout": "20s"}})
    way = UserCommand(World(kube=None, monitor=None, system=system, env=env))
    cluster = SimpleNamespace(way=way, reads=[], runs=lambda: ran.read_text().count("once") if ran.exists() else 0)

    def _current(_kube, _env):
        given = cluster.reads.pop(0) if cluster.reads else release()
        if isinstance(given, Exception):
            raise given
        return given

    def _prove(bad, target, tick):
        verdict = Verdict.PASS if cluster.runs() else Verdict.FAIL
        return Proof(verdict=verdict, message="judged", revision=1, digests=(), took_s=0.1)

    monkeypatch.setattr(strategy.release, "current", _current)
    monkeypatch.setattr(way, "prove", _prove)
    monkeypatch.setattr(way, "remember", lambda *_: None)
    return cluster


def test_a_hiccup_before_the_command_does_not_keep_it_from_being_run(run, intent, command):
    """Not begun, not recorded as begun: whoever takes it up runs it, once."""
    command.reads = [KubeError("connection reset", status=0)]
    told = run(command.way, intent())
    assert (command.runs(), told.started_times, told.intent, told.lasts) == (0, 0, None, [])
    assert told.proofs == [(Verdict.UNKNOWN, "connection reset")]
    told = run(command.way, told.intent or intent())
    assert (command.runs(), told.started_times, told.proofs) == (1, 1, [(Verdict.PASS, "judged")])


def test_a_mark_that_was_not_answered_is_written_again(run, intent, command):
    """Whether the Lease has it is not known then; with it there, nobody would ever run the command."""
    told = Records()
    told.errors = [KubeError("timed out", status=0)]
    run(command.way, intent(), told)
    assert (command.runs(), told.started_times, told.proofs) == (1, 1, [(Verdict.PASS, "judged")])


def test_a_command_that_may_have_been_run_is_not_run_again(run, intent, command):
    """The mark is older than the first run: whatever a crash left, it is judged and nothing more."""
    told = run(command.way, intent(begun=True))
    assert (command.runs(), told.started_times, told.proofs[0][0]) == (0, 0, Verdict.FAIL)


def test_a_command_is_not_run_on_another_release(run, intent, command, release, monkeypatch):
    """Somebody was faster: nothing is begun."""
    monkeypatch.setattr(command.way, "look", lambda: SimpleNamespace(current=release(3, "newer")))
    command.reads = [release(3, "newer")]
    told = run(command.way, intent())
    assert (command.runs(), told.started_times, told.intent) == (0, 0, None)
    assert told.proofs == [(Verdict.FAIL, "deployment web is at revision 3 now, no longer at 2")]
