"""Actions of experiments: break something, heal everything. The ledger knows each fault before the world does."""

from muster.chaos.actions.common import heal, undo
from muster.chaos.actions.infrastructure import inject, kill_pods
from muster.chaos.actions.releases import release

__all__ = ["heal", "inject", "kill_pods", "release", "undo"]
