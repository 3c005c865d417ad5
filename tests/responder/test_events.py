"""Events when the Deployment that they are about cannot be read."""

from types import SimpleNamespace

import pytest

from muster.kube import KubeError
from muster.responder.events import post_event

SOURCE = SimpleNamespace(deployment="web", namespace="shop")


@pytest.fixture
def api():
    """One whose reading fails with ``status``; ``posted`` are the Events that it was given."""

    def _api(status):
        def _get(_path):
            raise KubeError("no", status=status)

        posted = []
        return SimpleNamespace(get=_get, post=lambda _path, body: posted.append(body), posted=posted)

    return _api


@pytest.mark.parametrize("status", [403, 404])
def test_deployment_that_is_gone_or_may_not_be_read_has_its_event(api, status):
    """Without a uid: `kubectl get events` shows it."""
    kube = api(status)
    post_event(kube, SOURCE, "RollbackRefused", "no")
    assert kube.posted[0]["involvedObject"]["name"] == "web"
    assert "uid" not in kube.posted[0]["involvedObject"]


def test_api_that_does_not_answer_is_not_waited_for_twice(api):
    """A rollback is under way meanwhile."""
    kube = api(0)
    with pytest.raises(KubeError):
        post_event(kube, SOURCE, "RollingBack", "yes")
    assert kube.posted == []
