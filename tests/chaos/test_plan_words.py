"""What a plan says of whom it would page."""

from types import SimpleNamespace

import pytest

from muster.chaos.plan import _paged, _stopped
from muster.judge.stopping import StopConditions
from muster.system.environment import Channel, Environment


def test_a_webhooks_address_is_told_by_its_host():
    """Whoever has the rest of it can post there; a plan is pasted into tickets."""
    channel = Channel(kind="webhook", url="https://me:hidden@pager.example:8443/hooks/s3cr3t?key=k3y")
    where = SimpleNamespace(env=SimpleNamespace(contacts={"on-call": channel}), system=SimpleNamespace(alerts={}))
    told = _paged(where, SimpleNamespace(pages=("on-call",), alert=""))
    assert told == ("on-call, for real: webhook https://pager.example:8443",)


@pytest.mark.parametrize("load", [None, "some"])
def test_a_plan_says_where_nobody_watches_users(load):
    """An experiment without users of ours is ended by no error of theirs."""
    env = Environment(name="live", description="")
    given = SimpleNamespace(stop=StopConditions(), load=load, must_not=())
    told = _stopped(env, given, frozenset())
    assert any("nobody watches users: no load of ours" in line for line in told) is (load is None)
    assert any("of users' requests fail" in line for line in told) is (load is not None)
