"""Probes that wait: for how long, and for what no longer."""

from __future__ import annotations

import time

import pytest

from muster.chaos.probes import outlasted
from muster.timeline import Kind

HERE = {"system": "x0tta6bl4", "environment": "staging"}


@pytest.mark.parametrize(("pods", "lasted"), [({}, True), ({"pods": ["new"]}, False)])
def test_only_pods_that_are_new_may_still_have_to_be_discovered(story, pods, lasted):
    """A fault of what is scraped already is seen at once; a new pod within Prometheus' discovery."""
    now = time.time()
    story.tell(Kind.DRILL_STARTED, source="muster", outlast_s=0.2, expected={})
    story.tell(Kind.FAULT_INJECTED, source="muster", at=now)
    story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=now, **pods)
    assert outlasted(within="0.2s", configuration=HERE) is lasted
    assert time.time() - now >= 0.2
