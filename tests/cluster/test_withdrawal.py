"""What a drill's bad release leaves behind: nothing that a later rollback, ours or a person's, could go back to."""

import subprocess

import pytest
import yaml

from muster.errors import MusterError
from muster.faults import Ledger, bad_release, heal
from muster.kube import JSON_PATCH, Kube, KubeError, load_access
from muster.release import look, obstacle, previous
from muster.workload import revision, withdrawn

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"


@pytest.fixture
def ledger(shop):
    return Ledger(shop.folder / ".muster")


def _inject(shop, ledger, **how):
    entry = bad_release.inject(
        ledger, shop.kube, shop.env, system="x0tta6bl4", **{"env_vars": {"FAULT_ERROR_RATIO": "0.15"}, **how}
    )
    bad_release.confirm(shop.kube, shop.env, entry, timeout_s=60)
    return entry


def _heal(shop, ledger, kube=None):
    (result,) = heal(ledger, kube or shop.kube, shop.env)
    assert result.ok, result.message
    assert heal(ledger, shop.kube, shop.env) == []
    return result.message


def _undo(shop, *more):
    argv = ["kubectl", "--kubeconfig", str(shop.api), "-n", shop.namespace, "rollout", "undo", "deployment/web", *more]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def _revisions(shop):
    return [revision(item) for item in shop.look().replicasets]


def _container(shop):
    (container,) = shop.look().template["spec"]["containers"]
    return container


def _variables(shop):
    return {item["name"]: item.get("value") for item in _container(shop).get("env", [])}


@pytest.fixture
def careful(shop):
    """A session of an account that may do all that heals, but delete no ReplicaSet."""
    (space, name), account = (shop.namespace, "careful"), f"/api/v1/namespaces/{shop.namespace}/serviceaccounts"
    rules = [
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    ]
    shop.kube.post(account, {"metadata": {"name": name}})
    shop.kube.post(f"{RBAC}/{space}/roles", {"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": space}],
    }
    shop.kube.post(f"{RBAC}/{space}/rolebindings", binding)
    token = shop.kube.post(f"{account}/{name}/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    config = yaml.safe_load(shop.api.read_text())
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    (shop.folder / "kubeconfig").write_text(yaml.safe_dump(config))
    with Kube(load_access(shop.folder / "kubeconfig"), timeout_s=60) as kube:
        yield kube


def test_nothing_goes_back_to_a_bad_release_that_is_healed(shop, ledger):
    """Its ReplicaSet is gone: the responder refuses, and a person's undo finds no other revision."""
    entry = _inject(shop, ledger)
    assert ledger.get(entry.id).undo["stored"] == shop.look().template  # as the API made it
    assert "; revision 2 of it is deleted" in _heal(shop, ledger)
    assert _revisions(shop) == [3]
    assert previous(shop.kube, shop.env) is None
    assert "no previous revision" in obstacle(look(shop.kube, shop.env), None)
    assert _undo(shop).returncode != 0
    assert "FAULT_ERROR_RATIO" not in _variables(shop)


def test_nothing_goes_back_to_a_bad_release_that_the_responder_rolled_back_already(shop, ledger):
    """Healing then only finds it in the history; the release before the good one is the way back, as ever."""
    shop.release("shop/web:2")
    entry = _inject(shop, ledger)
    shop.kube.patch(
        shop.path, [{"op": "replace", "path": "/spec/template", "value": entry.undo["good"]}], kind=JSON_PATCH
    )
    shop.settle()
    assert previous(shop.kube, shop.env).revision == 3
    assert "no longer asks for the bad release; revision 3 of it is deleted" in _heal(shop, ledger)
    assert previous(shop.kube, shop.env).revision == 1


def test_bad_release_that_may_not_be_deleted_is_marked_and_passed_over(shop, ledger, careful):
    """A person's undo would still go there, and healing says so; the mark then concerns no other revision."""
    _inject(shop, ledger)
    words = _heal(shop, ledger, careful)
    assert "revision 2 of it stays, for this account may not delete it" in words
    assert "a kubectl rollout undo would" in words
    assert previous(shop.kube, shop.env) is None
    assert "revision 2 is a bad release of fault" in obstacle(look(shop.kube, shop.env), None)
    shop.release("shop/web:2")
    assert previous(shop.kube, shop.env).revision == 3
    assert _undo(shop, "--to-revision=2").returncode == 0  # somebody does it all the same; it brings the mark along
    shop.settle()
    shop.release("shop/web:3", FAULT_ERROR_RATIO="0")
    (marked,) = [item for item in shop.look().replicasets if withdrawn(item)]
    assert "'0.15'" in str(marked)
    assert previous(shop.kube, shop.env).revision == 4


def test_what_others_changed_during_the_drill_stays_and_what_was_injected_goes(shop, ledger):
    """`kubectl set env` makes a third template of it: neither good nor bad, and still bad for the users.

    So does whatever writes a digest for the image: by that name, too, it is the bad build.
    """
    shop.release("shop/web:1", MODE="calm", AFTER="$(MODE)")
    _inject(shop, ledger, env_vars={"FAULT_ERROR_RATIO": "0.15", "MODE": "wild"}, image="shop/web:9")
    digest = "shop/web@sha256:" + 64 * "9"
    container = {"name": "web", "image": digest, "env": [{"name": "LOG_LEVEL", "value": "debug"}]}
    shop.kube.patch(shop.path, {"spec": {"template": {"spec": {"containers": [container]}}}})
    shop.settle()
    words = _heal(shop, ledger)
    assert "with what others have changed in it since" in words
    assert _variables(shop) == {"MODE": "calm", "AFTER": "$(MODE)", "LOG_LEVEL": "debug"}
    names = [item["name"] for item in _container(shop)["env"]]
    assert names.index("MODE") < names.index("AFTER")
    assert _container(shop)["image"] == "shop/web:1"
    assert "revision 3 of it is deleted; revision 4 of it is deleted" in words
    assert _revisions(shop) == [1, 2, 5]


def test_record_stays_while_something_puts_the_fault_back(shop, ledger):
    """Healing is over when it is out, not when it was asked for."""
    entry = _inject(shop, ledger)

    class Meddled(Kube):
        """An admission webhook that knows better."""

        def patch(self, path, body, **how):
            answer = super().patch(path, body, **how)
            if path != shop.path or how.get("kind") != JSON_PATCH:
                return answer
            item = {"op": "replace", "path": "/spec/template", "value": entry.undo["bad"]}
            return super().patch(path, [item], kind=JSON_PATCH)

    with Meddled(load_access(shop.api), timeout_s=60) as kube:
        (result,) = heal(ledger, kube, shop.env)
    assert not result.ok
    assert "the API still has variable FAULT_ERROR_RATIO of the bad release" in result.message
    assert ledger.get(entry.id).open
    _heal(shop, ledger)


def test_healing_that_was_killed_before_the_end_withdraws_the_release_the_next_time(shop, ledger):
    """Whatever it had done by then: the record is closed last."""
    entry = _inject(shop, ledger)

    class Killed(Kube):
        """Dies at the first deletion."""

        def delete(self, *_, **__):
            raise KeyboardInterrupt

    with Killed(load_access(shop.api), timeout_s=60) as kube, pytest.raises(KeyboardInterrupt):
        heal(ledger, kube, shop.env)
    assert ledger.get(entry.id).open
    assert previous(shop.kube, shop.env) is None  # marked already
    assert "revision 2 of it is deleted" in _heal(shop, ledger)


def test_release_that_was_there_before_the_drill_is_kept_and_marked(shop, ledger):
    """A drill that releases an old revision anew takes it out of nobody's history."""
    shop.release("shop/web:2")
    _inject(shop, ledger, env_vars={}, image="shop/web:1")
    assert "revision 3 of it is kept, for it had been released before" in _heal(shop, ledger)
    assert _revisions(shop) == [3, 4]
    assert previous(shop.kube, shop.env) is None


def test_what_cannot_be_marked_is_not_closed(shop, ledger):
    """A later rollback would go there: somebody must look."""
    entry = _inject(shop, ledger)

    class Forbidden(Kube):
        """An account of before: it may patch Deployments alone."""

        def patch(self, path, body, **how):
            if "/replicasets/" in path:
                raise KubeError("replicasets is forbidden", status=403)
            return super().patch(path, body, **how)

    with Forbidden(load_access(shop.api), timeout_s=60) as kube, pytest.raises(MusterError, match="forbidden"):
        bad_release.heal(kube, shop.env, entry)
    assert "FAULT_ERROR_RATIO" not in _variables(shop)  # users do not wait for it
    assert ledger.get(entry.id).open
    _heal(shop, ledger)
