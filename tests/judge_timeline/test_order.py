"""The users that an experiment asks for: so many a second, or what the system promises."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from muster.chaos.context import RATE, promises
from muster.cli import drill
from muster.cli.drill import command
from muster.errors import UsageError
from muster.judge.objectives import parse_objectives
from muster.system import load_system

X0 = load_system("x0tta6bl4")


def rate(written, system=X0):
    extension = {"name": "muster", "recovered_within": "5s", "load": {"rate": written, "users": 100}}
    load = parse_objectives(extension, where="some.yaml", system=system).load
    assert load is not None
    return load.rate


@pytest.mark.parametrize(
    ("written", "expected"),
    [(1200, 1200), ("1200/s", 1200), ("objective", 6000), ("target", 6800), ("50% of target", 3400)],
)
def test_a_rate_is_a_number_or_follows_the_promise(written, expected):
    """The runbooks promise 6,000/s and aim at 6,800/s; an experiment that says so holds on every system."""
    assert rate(written) == expected


@pytest.mark.parametrize(
    ("written", "system", "words"),
    [
        ("objective", None, "no system is named"),
        ("goal", X0, "'goal'"),
        (0, X0, "greater than 0"),
        ("objective", X0.model_copy(update={"slo": {}}), "states no objective"),
    ],
)
def test_a_rate_that_cannot_be_known_is_one_sentence(written, system, words):
    """File, key and what is wrong."""
    with pytest.raises(UsageError, match=f"^some.yaml: extensions muster load.rate: .*{words}"):
        rate(written, system)


def test_an_experiment_at_another_rate_has_users_in_proportion():
    """Five times the requests need five times the users; what has no users gets none."""
    extension = {"name": "muster", "recovered_within": "5s", "load": {"rate": 1200, "users": 100}}
    load = parse_objectives(extension, where="some.yaml", system=X0, rate=6000).load
    assert load is not None
    assert (load.rate, load.users) == (6000, 500)
    del extension["load"]
    assert parse_objectives(extension, where="some.yaml", system=X0, rate=6000).load is None


@pytest.mark.parametrize(("given", "words"), [("goal", "'goal' is not"), ("", "is not"), ("0", "one request a second")])
def test_a_rate_that_nobody_can_send_is_refused_before_anything_is_done(given, words):
    """One sentence, and the exit code of bad usage."""
    answer = CliRunner().invoke(command, ["bad-release", "--rate", given], standalone_mode=False)
    assert isinstance(answer.exception, UsageError)
    assert str(answer.exception).startswith(f"--rate {given}: ")
    assert words in str(answer.exception)


def test_the_commands_rate_is_of_its_own_drill_only(monkeypatch):
    """It comes through the environment, which is afterwards as it was."""
    monkeypatch.setenv(RATE, "objective")
    seen = []
    monkeypatch.setattr(drill, "_dry_run", lambda *_: seen.append(os.environ[RATE]) or 0)
    arguments = ["bad-release", "--dry-run", "--rate", "50% of target"]
    answer = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert (answer.exception, seen, os.environ[RATE]) == (None, ["50% of target"], "objective")
    monkeypatch.delenv(RATE)
    CliRunner().invoke(command, arguments, standalone_mode=False)
    assert (len(seen), os.environ.get(RATE)) == (2, None)


@pytest.mark.parametrize(
    ("given", "words"), [("0", "one request a second"), ("0.4", "one request"), ("goal", "'goal'")]
)
def test_a_rate_of_the_environment_that_nobody_can_send_is_one_sentence(monkeypatch, given, words):
    """It names the variable, also where the experiment has no users."""
    monkeypatch.setenv(RATE, given)
    extension = {"name": "muster", "recovered_within": "5s"}
    with pytest.raises(UsageError, match=f"^{RATE}={given}: .*{words}"):
        promises({"extensions": [extension]}, "some.yaml", X0)
    extension["load"] = {"rate": 1200, "users": 100}
    with pytest.raises(UsageError, match="one request a second"):
        parse_objectives(extension, where="some.yaml", system=X0, rate=0.4)
