"""What a plan says of whom it would page."""

from types import SimpleNamespace

from muster.chaos.plan import _paged
from muster.system.environment import Channel


def test_a_webhooks_address_is_told_by_its_host():
    """Whoever has the rest of it can post there; a plan is pasted into tickets."""
    channel = Channel(kind="webhook", url="https://me:hidden@pager.example:8443/hooks/s3cr3t?key=k3y")
    where = SimpleNamespace(env=SimpleNamespace(contacts={"on-call": channel}), system=SimpleNamespace(alerts={}))
    told = _paged(where, SimpleNamespace(pages=("on-call",), alert=""))
    assert told == ("on-call, for real: webhook https://pager.example:8443",)
