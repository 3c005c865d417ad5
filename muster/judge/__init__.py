"""Judging: opinion, no I/O. Pure functions of what was read; AssertionError is FAIL, SLOWarning is WARN."""

from muster.judge.alerting import Firing
from muster.judge.indicator import (
    Breach,
    Indicator,
    assert_every_replica_holds,
    assert_holds,
    assert_there_is_traffic,
    bound,
)
from muster.judge.undeclared import Undeclared
from muster.judge.views import view

__all__ = [
    "Breach",
    "Firing",
    "Indicator",
    "Undeclared",
    "assert_every_replica_holds",
    "assert_holds",
    "assert_there_is_traffic",
    "bound",
    "view",
]
