"""Whoever presses Ctrl-C again and again finds everything healed all the same."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from muster.cli import drill


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_second_signal_cuts_healing_short(number):
    """It is answered in words; afterwards the handlers are those of before."""
    said = []
    before = signal.getsignal(number)
    with drill._patience(SimpleNamespace(say=lambda words, _style: said.append(words))):
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
    assert len(said) == 2
    assert "healing first" in said[0]


def test_a_drill_heals_behind_that_patience(monkeypatch, tmp_path):
    """A signal in the middle of healing does not end it: what is left after it is healed, too."""
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path))
    healed = []

    def heal(*_args, **_kwargs):
        signal.raise_signal(signal.SIGINT)
        healed.append("all")
        return []

    monkeypatch.setattr("muster.faults.heal", heal)
    monkeypatch.setattr("muster.kube.load_access", lambda *_: None)
    monkeypatch.setattr("muster.kube.Kube", _Session)
    monkeypatch.setattr("muster.faults.Ledger.records", lambda _: [SimpleNamespace(open=True, environment="lab")])
    env = SimpleNamespace(name="lab", kubernetes=SimpleNamespace(kubeconfig="", context=""))
    drill._heal(SimpleNamespace(name="x"), env, SimpleNamespace(say=lambda *_: None))
    assert healed == ["all"]


class _Session:
    def __init__(self, _access):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
