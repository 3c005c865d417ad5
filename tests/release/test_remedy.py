"""Whether a remedy that a crash interrupted was asked for. Pure but for one object."""

import copy
from types import SimpleNamespace

import pytest

from muster.kube import MERGE
from muster.release import apply_remedy, is_applied
from muster.system import Environment

KUBERNETES = {"kubeconfig": "unused", "namespace": "shop", "deployment": "web", "container": "web"}


@pytest.fixture
def env():
    kubernetes = {**KUBERNETES, "selector": "app=web", "port": 8080}
    return Environment.model_validate({"name": "here", "description": "test", "kubernetes": kubernetes})


@pytest.fixture
def cluster():
    """One Deployment of three replicas, merged into as the API does."""
    held = {"spec": {"replicas": 3, "template": {"metadata": {}, "spec": {}}}}

    def _merge(into, patch):
        for key, value in patch.items():
            into[key] = _merge(into.get(key, {}), value) if isinstance(value, dict) else value
        return into

    def _patch(_path, body, *, kind):
        assert kind == MERGE
        return _merge(held, body)

    return SimpleNamespace(get=lambda _path: copy.deepcopy(held), patch=_patch)


@pytest.mark.parametrize(("remedy", "replicas"), [("restart", 0), ("scale", 7)])
def test_a_remedy_is_applied_when_the_deployment_asks_for_just_that(cluster, env, remedy, replicas):
    """The restart of that moment and no other, that number of replicas and no other."""
    given = {"at": 1000.0, "replicas": replicas}
    assert not is_applied(cluster, env, remedy, **given)
    apply_remedy(cluster, env, remedy, **given)
    assert is_applied(cluster, env, remedy, **given)
    assert not is_applied(cluster, env, remedy, at=2000.0, replicas=replicas + 1)
