"""Whoever presses Ctrl-C again and again finds everything healed all the same."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from muster.cli import drill


def test_a_drill_heals_behind_that_patience(monkeypatch, tmp_path):
    """A signal in the middle of healing does not cut it short; the drill ends by it once that is told."""
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path))
    healed = []

    def heal(*_args, **_kwargs):
        signal.raise_signal(signal.SIGINT)
        healed.append("all")
        return [SimpleNamespace(ok=True, message="mended")]

    monkeypatch.setattr("muster.faults.heal", heal)
    monkeypatch.setattr("muster.kube.load_access", lambda *_: None)
    monkeypatch.setattr("muster.kube.Kube", nullcontext)
    monkeypatch.setattr("muster.faults.Ledger.records", lambda _: [SimpleNamespace(open=True, environment="lab")])
    env = SimpleNamespace(name="lab", kubernetes=SimpleNamespace(kubeconfig="", context=""))
    said = []
    progress = SimpleNamespace(say=lambda words, _style="": said.append(words.strip()))
    with pytest.raises(KeyboardInterrupt):
        drill._heal(SimpleNamespace(name="x"), env, progress)
    assert healed == ["all"]
    assert said == ["healing first; this takes a few seconds", "healed: mended"]
