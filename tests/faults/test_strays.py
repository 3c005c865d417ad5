"""Marks in an environment whose faults another ledger holds: found where they can be, and what was not seen is said."""

import pytest

from muster.faults import Ledger
from muster.faults.strays import strays
from muster.kube import KubeError
from muster.system import Environment

GIVEN = {"system": "s", "environment": "live", "server": "https://127.0.0.1:1", "namespace": "shop", "target": "x"}
WHERE = {"kubeconfig": "unused", "namespace": "shop", "deployment": "web", "container": "web", "selector": "a=b"}
DEPLOYMENTS, PODS = "/apis/apps/v1/namespaces/shop/deployments", "/api/v1/namespaces/shop/pods"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"


class Session:
    """What each list answers: objects, or the status of its refusal; an unknown one fails the test."""

    def __init__(self, **answers):
        self.answers = {DEPLOYMENTS: [], PODS: [], INGRESSES: [], **answers}

    def get(self, path):
        answer = self.answers[path]
        if isinstance(answer, int):
            raise KubeError("no", status=answer)
        return {"items": answer}


def marked(name, fault):
    notes = {"muster.dev/fault": fault, "muster.dev/fault-expires": "2026-01-07T10:20:00Z"}
    return {"metadata": {"name": name, "annotations": notes}}


@pytest.fixture
def env():
    guard = {"namespaces": ["shop"]}
    return Environment.model_validate(
        {"name": "live", "description": "", "kubernetes": {**WHERE, "port": 80}, "guard": guard}
    )


def test_a_mark_of_another_ledger_is_found_and_one_of_this_is_not(tmp_path, env):
    """The sentence says what carries it, of which fault, and until when it may stay so."""
    ledger = Ledger(tmp_path)
    ours = ledger.open("pod_kill", **GIVEN, undo={})
    kube = Session(
        **{PODS: [marked("a", ours.id), {"metadata": {"name": "b"}}], DEPLOYMENTS: [marked("web", "theirs")]}
    )
    found, unseen = strays(kube, env, ledger)
    assert [str(one) for one in found] == ["deployment/web (fault theirs, to end at 2026-01-07T10:20:00Z)"]
    assert unseen == []


def test_what_this_account_may_not_list_is_said(tmp_path, env):
    """Not seeing is not the same as nothing to see; what the API does not serve is not there."""
    assert strays(Session(**{PODS: 403, INGRESSES: 404}), env, Ledger(tmp_path)) == ([], [PODS])
    with pytest.raises(KubeError):
        strays(Session(**{PODS: 0}), env, Ledger(tmp_path))
