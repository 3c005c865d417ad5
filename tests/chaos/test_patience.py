"""A signal in the middle of healing waits, and is not lost."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from muster import ending
from muster.chaos import own, recorder
from muster.chaos.patience import patience
from muster.kube import KubeError

ALL = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@pytest.fixture
def delivered():
    """The signals that reach whoever was there before, as they come."""
    came = []
    handler = lambda number, _frame: came.append(number)  # noqa: E731
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield came
    for number, was in before.items():
        signal.signal(number, was)


@ALL
def test_it_is_answered_in_words_and_delivered_once_when_healing_is_over(number, delivered):
    """To the handler of before, which is there again."""
    said, before = [], signal.getsignal(number)
    with patience(said.append) as waiting:
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert (delivered, waiting) == ([], {number})
    assert signal.getsignal(number) is before
    assert delivered == [number]
    assert said == ["healing first; this takes a few seconds"] * 2


def test_whoever_was_started_with_nohup_goes_on_when_the_terminal_closes():
    """SIGHUP is ignored there, and stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending.signals() == (signal.SIGTERM,)
        with patience(lambda _: None) as waiting:
            signal.raise_signal(signal.SIGHUP)
            assert waiting == set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_signal_nothing_is_delivered(delivered):
    """Nor anything said."""
    said = []
    with patience(said.append):
        pass
    assert (said, delivered) == ([], [])


def test_the_outer_one_delivers_what_came_in_the_inner(delivered):
    """What is around a healing is not cut short either; SIGTERM counts for more than Ctrl-C."""
    with patience(lambda _: None):
        with patience(lambda _: None) as waiting:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
        assert waiting == {signal.SIGINT, signal.SIGTERM}
        assert delivered == []
    assert delivered == [signal.SIGTERM]


def test_a_failure_is_not_hidden_behind_a_signal(delivered):
    """Not healed is said, whoever pressed Ctrl-C meanwhile."""

    def fail():
        with patience(lambda _: None):
            signal.raise_signal(signal.SIGINT)
            raise KubeError("not healed")

    with pytest.raises(KubeError, match="not healed"):
        fail()
    assert delivered == []


@pytest.fixture
def faults(monkeypatch):
    """``faults(n)``: so many open faults of this process; what is healed is listed, each heal is interrupted."""
    healed = []

    def heal(_ledger, _kube, _env, *, system, only):
        signal.raise_signal(signal.SIGINT)
        healed.append(only)
        return [SimpleNamespace(ok=True, id=only, message=f"{system} mended")]

    monkeypatch.setattr(own, "heal", heal)
    monkeypatch.setattr(own, "Kube", lambda _: nullcontext(SimpleNamespace(get=lambda _: {})))
    monkeypatch.setattr(own, "load_access", lambda *_: None)
    monkeypatch.setattr(own, "_kept", [])

    def make(count):
        records = [SimpleNamespace(id=f"fault-{n}", open=True) for n in range(count)]
        env = SimpleNamespace(name="lab", kubernetes=SimpleNamespace(kubeconfig="", context=None))
        own.keep("small", env, SimpleNamespace(mine=lambda: records))
        return healed

    return make


def test_the_last_heal_heals_all_and_then_lets_the_signal_through(faults, delivered):
    """Ctrl-C while the first of two is undone: both are, and Ctrl-C has not been lost."""
    healed = faults(2)
    assert own.heal_own(lambda _: None) == ""
    assert (healed, delivered) == (["fault-0", "fault-1"], [signal.SIGINT])


def test_an_api_that_is_away_is_waited_for_once_however_many_faults_are_open(faults, delivered, monkeypatch):
    """Each fault is named as left; the second does not wait again."""
    faults(3)
    waits = []

    def away(_kube):
        waits.append(1)
        raise own.TimedOut("nothing could be healed within 30s: refused", last="refused")

    monkeypatch.setattr(own, "await_api", away)
    failure = own.heal_own(lambda _: None)
    assert len(waits) == 1
    assert all(f"fault fault-{n}: nothing could be healed within 30s" in failure for n in range(3))
    assert delivered == []


@ALL
def test_a_signal_in_an_experiments_last_heal_ends_the_session_and_keeps_the_verdict(number, delivered, monkeypatch):
    """The journal says interrupted and by what: nothing more is broken. The handlers are those of before."""
    journal = {"status": "completed", "muster": {"verdict": "PASS", "message": "5 objectives met", "stopped": False}}
    monkeypatch.setattr(recorder._State, "journal", journal)
    monkeypatch.setattr(recorder._State, "recording", None)
    monkeypatch.setattr(recorder.own, "heal_own", lambda *_, **__: signal.raise_signal(number) or "")
    before = signal.getsignal(number)
    recorder.cleanup_control()
    assert journal["status"] == "interrupted"
    assert journal["muster"]["verdict"] == "PASS"
    assert journal["muster"]["message"] == f"interrupted by {number.name}: 5 objectives met"
    assert (signal.getsignal(number), delivered) == (before, [])


def test_without_a_journal_the_signal_is_raised_again(delivered, monkeypatch):
    """Something else has cut the experiment short, and nobody would read it."""
    monkeypatch.setattr(recorder._State, "journal", None)
    monkeypatch.setattr(recorder._State, "recording", None)
    monkeypatch.setattr(recorder.own, "heal_own", lambda *_, **__: signal.raise_signal(signal.SIGINT) or "")
    recorder.cleanup_control()
    assert delivered == [signal.SIGINT]
