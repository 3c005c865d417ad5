"""A name that was typed back is for one drill."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from muster.cli import drill
from muster.faults.guard import PRODUCTION


@pytest.mark.parametrize("before", [None, "another"])
def test_a_name_that_was_typed_back_holds_for_that_drill_only(monkeypatch, before):
    """Guards and experiments read it from the environment; the next command of the process must be asked again."""
    monkeypatch.delenv(PRODUCTION, raising=False)
    if before is not None:
        monkeypatch.setenv(PRODUCTION, before)
    meanwhile = []

    def run(*_):
        meanwhile.append(os.environ[PRODUCTION])
        raise ZeroDivisionError  # however it ends

    monkeypatch.setattr(drill, "_run", run)
    ended = CliRunner().invoke(drill.command, ["quick", "--env", "staging", "--production", "staging"])
    assert isinstance(ended.exception, ZeroDivisionError), ended.output
    assert (meanwhile, os.environ.get(PRODUCTION)) == (["staging"], before)
