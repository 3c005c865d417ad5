"""Actions of experiments: break something, heal everything. The ledger knows each fault before the world does."""

from collections.abc import Callable

from muster.chaos.actions.common import Order, heal, undo
from muster.chaos.actions.infrastructure import inject, kill_pods, order_inject, order_kill_pods
from muster.chaos.actions.releases import order_release, release

__all__ = ["ORDERS", "Order", "heal", "inject", "kill_pods", "release", "undo"]

# What breaks something -> the fault that its arguments mean; plans and injections share it, so that they agree.
ORDERS: dict[str, Callable[..., Order]] = {
    "inject": order_inject,
    "kill_pods": order_kill_pods,
    "release": order_release,
}
