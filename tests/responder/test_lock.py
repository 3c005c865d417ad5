"""What the Lease of a rollback remembers, and of which Deployment."""

import copy

import pytest

from muster.kube import KubeError
from muster.responder.lock import Intent, Last, Lock, LockLostError


class Cluster:
    """One Lease; a stale resourceVersion is a conflict."""

    def __init__(self):
        self.lease = None

    def get(self, _path):
        if self.lease is None:
            raise KubeError("not found", status=404)
        return copy.deepcopy(self.lease)

    def find(self, path):
        return None if self.lease is None else self.get(path)

    def post(self, _path, body):
        if self.lease is not None:
            raise KubeError("exists", status=409)
        return self._store(body, 1)

    def put(self, _path, body):
        version = self.lease["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != version:
            raise KubeError("conflict", status=409)
        return self._store(body, int(version) + 1)

    def _store(self, body, version):
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(version)
        return copy.deepcopy(self.lease)


@pytest.fixture
def lock():
    return Lock(Cluster(), "shop", "web", "me/127.0.0.1:1")


def test_a_canary_and_the_stable_release_have_a_cool_down_each(lock, release):
    """An aborted canary must not keep the release that everybody uses from being rolled back, nor be counted as it."""
    for deployment, at in (("web-canary", 100.0), ("web", 200.0), ("web-canary", 300.0)):
        bad = release(deployment=deployment)
        lock.take(lock.read(), Intent(alert="A", key="k", bad=bad, target=release(1, "good"), decided_at=at))
        last = Last(at=at, alert="A", from_revision=2, to_revision=1, verdict="PASS")
        lock.release(last, deployment=deployment)
    state = lock.read()
    stable, canary = lock.memory(state, "web"), lock.memory(state, "web-canary")
    assert (stable.last.at, stable.begun) == (200.0, (200.0,))
    assert (canary.last.at, canary.begun) == (300.0, (100.0, 300.0))
    assert state.holder == ""


def test_a_lock_that_was_taken_over_is_lost(release):
    """Whoever took it as it was read is the only one; the other one learns it at the next word to the Lease."""
    cluster = Cluster()
    mine, other = (Lock(cluster, "shop", "web", me) for me in ("me/127.0.0.1:1", "other/127.0.0.1:1"))
    intent = Intent(alert="A", key="k", bad=release(), target=release(1, "good"), decided_at=1.0)
    seen = mine.read()
    mine.take(seen, intent)
    with pytest.raises(LockLostError, match="faster"):
        other.take(seen, intent)
    with pytest.raises(LockLostError, match="me/127"):
        other.take(other.read(), intent)
    cluster.lease["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
    assert other.read().intent == intent
    other.take(other.read(), intent)
    with pytest.raises(LockLostError, match="other/127"):
        mine.mark(intent)
    other.release(None)
    with pytest.raises(LockLostError, match="not held"):
        other.renew()


def test_what_somebody_else_wrote_on_the_lease_is_kept(lock, release):
    """A label or a note of an operator's is no reason to lose the lock, nor to be written over."""
    intent = Intent(alert="A", key="k", bad=release(), target=release(1, "good"), decided_at=1.0)
    lock.take(lock.read(), intent)
    lease = lock._lease._kube.lease
    lease["metadata"]["annotations"]["team/why"] = "we are looking at it"
    lease["metadata"]["resourceVersion"] = "77"
    lock.release(Last(at=1.0, alert="A", from_revision=2, to_revision=1, verdict="PASS"))
    notes = lock._lease._kube.lease["metadata"]["annotations"]
    assert notes["team/why"] == "we are looking at it"
    assert "muster.dev/intent" not in notes
    assert lock.read().own.last.from_revision == 2
