"""What a plan says of whom it would page."""

from types import SimpleNamespace

import pytest

from muster.chaos.plan import _paged, _Planner, _stopped
from muster.judge.stopping import StopConditions
from muster.system.environment import Channel, Environment
from muster.system.model import Slo


def test_a_webhooks_address_is_told_by_its_host():
    """Whoever has the rest of it can post there; a plan is pasted into tickets."""
    channel = Channel(kind="webhook", url="https://me:hidden@pager.example:8443/hooks/s3cr3t?key=k3y")
    where = SimpleNamespace(env=SimpleNamespace(contacts={"on-call": channel}), system=SimpleNamespace(alerts={}))
    told = _paged(where, SimpleNamespace(pages=("on-call",), alert=""))
    assert told == ("on-call, for real: webhook https://pager.example:8443",)


@pytest.mark.parametrize(("given", "words"), [("-rf x", "-rf x"), ({"-r": "x"}, "-r=x"), ({}, "")])
def test_a_process_is_told_with_its_arguments_however_they_are_written(given, words):
    """Chaos Toolkit takes a text as well as a mapping."""
    planner = _Planner(None, None, {}, [], 0.0)
    activity = {"type": "action", "name": "go", "provider": {"type": "process", "path": "rm", "arguments": given}}
    assert planner.activities([activity]) == (f"go: action rm({words}); no fault of Muster's: no ledger, no guard",)


SLO = {"title": "errors", "unit": "ratio", "query": "q", "window": "1m", "runbook": "book#errors"}


@pytest.mark.parametrize("load", [None, "some"])
@pytest.mark.parametrize("prometheus", ["", "http://prometheus.test"])
def test_a_plan_says_who_watches_users(load, prometheus):
    """Load tells of our users, Prometheus of everybody; where there is neither, no error of theirs ends anything."""
    env = Environment(name="live", description="", prometheus=prometheus)
    system = SimpleNamespace(slo={"error_ratio": Slo.model_validate(SLO)}, alerts={})
    given = SimpleNamespace(stop=StopConditions(), load=load, must_not=(), alert="", outlast="", blind=(), may_fire=())
    told = _stopped(SimpleNamespace(env=env, system=system), given)
    assert any("nobody watches users: no load of ours" in line for line in told) is (not load and not prometheus)
    assert ("more than 50% of users' requests fail over 5s" in told) is bool(load)
    assert ("more than 50% of all requests fail over 1m, as Prometheus has it" in told) is bool(prometheus)
