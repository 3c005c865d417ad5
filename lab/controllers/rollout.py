"""One look at a Deployment and the ReplicaSets that it has at that moment. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.controllers import arithmetic, revisions
from lab.objects import is_deleting
from lab.resources import Object


@dataclass
class Rollout:
    """A deployment (our own copy) with its ReplicaSets: that of its present template, if there is one, and the rest."""

    deployment: Object
    old: list[Object] = field(default_factory=list)
    new: Object | None = None

    @property
    def sets(self) -> list[Object]:
        """All of them, the new one last."""
        return [*self.old, self.new] if self.new else list(self.old)

    def replace(self, changed: Object) -> None:
        """Take over what the API made of one of them."""
        name = changed["metadata"]["name"]
        if self.new and self.new["metadata"]["name"] == name:
            self.new = changed
        self.old = [changed if item["metadata"]["name"] == name else item for item in self.old]

    def forgettable(self) -> list[Object]:
        """The oldest ReplicaSets beyond revisionHistoryLimit, of those that are empty and have settled."""
        limit = self.deployment["spec"].get("revisionHistoryLimit")
        alive = [item for item in self.old if not is_deleting(item)]
        if limit is None or len(alive) <= limit:
            return []
        return [item for item in sorted(alive, key=revisions.revision_of)[: len(alive) - limit] if _is_spent(item)]


def _is_spent(item: Object) -> bool:
    status = item.get("status", {})
    settled = bool(item["metadata"]["generation"] <= status.get("observedGeneration", 0))
    return settled and not status.get("replicas") and not arithmetic.size(item)
