"""What a fault would do, decided without a cluster."""

import random

import pytest

from muster.errors import MusterError, UsageError
from muster.faults import Ledger, Refused, faults, plan
from muster.faults.bad_release import with_changes
from muster.faults.guard import allow_nodes, allow_share, allow_together, allow_users
from muster.faults.intent import Intent, carry_out
from muster.faults.victims import choose
from muster.system.environment import Environment
from muster.system.guard import Guard, Outage

READY = [{"metadata": {"name": name}} for name in "abc"]
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "web:1", "env": [{"name": "MODE", "value": "good"}]}]},
}


@pytest.mark.parametrize(("how_many", "count"), [("one", 1), ("2", 2), ("50%", 2), ("1%", 1), ("all", 3)])
def test_so_many_pods_are_chosen(how_many, count):
    """Percentages are rounded up, so that something is killed."""
    chosen = choose(READY, how_many, random.SystemRandom())
    assert len({pod["metadata"]["name"] for pod in chosen}) == count


def _env(**guard):
    return Environment(name="here", description="", guard=Guard(**guard))


def test_last_ready_pod_is_taken_only_if_the_experiment_says_so():
    """However many they are: who serves the users then is its author's answer to give."""
    with pytest.raises(Refused, match="last_replica: true"):
        allow_share(_env(), touched=3, ready=3, last_replica=False)
    with pytest.raises(Refused, match="last_replica: true"):
        allow_share(_env(), touched=1, ready=1, last_replica=False)
    allow_share(_env(), touched=3, ready=3, last_replica=True)
    allow_share(_env(), touched=2, ready=3, last_replica=False)


def test_share_of_the_pods_is_the_environments_to_limit():
    """Whatever the experiment says of the last replica."""
    with pytest.raises(Refused, match="50% of the ready pods at most, not on 2 of 3"):
        allow_share(_env(max_share="50%"), touched=2, ready=3, last_replica=True)
    allow_share(_env(max_share="50%"), touched=1, ready=3, last_replica=False)


def test_nodes_are_touched_only_where_the_environment_says_so():
    """A cordon concerns everybody's pods."""
    with pytest.raises(Refused, match=r"guard\.nodes"):
        allow_nodes(_env())
    allow_nodes(_env(nodes=True))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "either stop and start, or a workload"),
        ({"stop": ["a"]}, "both stop and start"),
        ({"stop": ["a"], "start": ["b"], "workload": "monitoring/deployment/p"}, "either stop and start"),
        ({"workload": "monitoring/p"}, "pattern"),
    ],
)
def test_outage_has_exactly_one_way(fields, words):
    """And its undo: what can be stopped must be startable."""
    with pytest.raises(ValueError, match=words):
        Outage(**fields)


@pytest.mark.parametrize("how_many", ["0", "4", "some", "-1", "0%", "200%"])
def test_impossible_numbers_are_refused(how_many):
    """In a sentence, with nothing touched."""
    with pytest.raises(UsageError):
        choose(READY, how_many, random.SystemRandom())


def test_no_ready_pod_is_no_experiment():
    """Killing what is not there would prove nothing."""
    with pytest.raises(UsageError, match="prove nothing"):
        choose([], "one", random.SystemRandom())


def test_release_sets_variables_and_image_in_a_copy():
    """Other variables stay, the original too."""
    changed = with_changes(TEMPLATE, "web", {"FAULT_ERROR_RATIO": "0.15"}, "web:2")
    (container,) = changed["spec"]["containers"]
    assert container["image"] == "web:2"
    assert container["env"] == [{"name": "MODE", "value": "good"}, {"name": "FAULT_ERROR_RATIO", "value": "0.15"}]
    assert TEMPLATE["spec"]["containers"][0]["image"] == "web:1"


def test_release_replaces_a_variable_that_is_there():
    """Two values of one name would be a fault of ours."""
    (container,) = with_changes(TEMPLATE, "web", {"MODE": "bad"}, None)["spec"]["containers"]
    assert container["env"] == [{"name": "MODE", "value": "bad"}]


def test_unknown_container_is_a_sentence():
    """The facts and the cluster disagree."""
    with pytest.raises(MusterError, match="no container 'api'"):
        with_changes(TEMPLATE, "api", {}, None)


def test_faults_are_found_by_walking_the_package():
    """One file each; its name is its kind."""
    assert set(faults()) >= {"bad_release", "pod_kill", "network_delay", "node_drain", "outage"}
    for kind, fault in faults().items():
        assert fault.__name__ == f"muster.faults.{kind}"
        assert "kubernetes" in fault.NEEDS
        assert all(callable(getattr(fault, name)) for name in ("intend", "confirm", "heal"))


def test_unknown_faults_and_arguments_are_refused_before_anything_is_asked():
    """In a sentence that names what there is."""
    with pytest.raises(UsageError, match=r"no fault 'earthquake' .known: .*pod_kill"):
        plan("earthquake", None, _env())
    with pytest.raises(UsageError, match=r"fault pod_kill: .*'how_much'"):
        plan("pod_kill", None, _env(), how_much="one")


@pytest.mark.parametrize(
    ("how", "words"),
    [({"weight": 0}, "0% of the users is none"), ({"weight": 101}, "101%"), ({"replicas": 0}, "with 0 pods")],
)
def test_canary_needs_users_and_pods(how, words):
    """Said before anything is asked."""
    with pytest.raises(UsageError, match=words):
        plan("bad_canary", None, _place(with_canary=True), env_vars={"A": "b"}, **how)


def test_where_no_canary_is_declared_none_is_made_bad():
    """There is nothing to find its Deployment by."""
    with pytest.raises(UsageError, match=r"declares no canary .rollback\.canary."):
        plan("bad_canary", None, _place(with_canary=False), env_vars={"A": "b"})


def _place(*, with_canary):
    where = {"kubeconfig": "unused", "namespace": "x", "deployment": "web", "container": "web", "selector": "app=web"}
    canary = {"ingress": "next", "deployment": "next", "metric_selector": 'app="next"'}
    body = {"name": "here", "description": "", "kubernetes": {**where, "port": 8080}}
    return Environment.model_validate(body | ({"rollback": {"canary": canary}} if with_canary else {}))


def _fault(pods, ready=3):
    """A fault's bounds; with ``act``, it would be injected."""
    return Intent(
        kind="k", namespace="x", target="t", sentences=(), undo={}, act=lambda _: "", pods=pods, ready=ready
    )  # fmt: skip


def test_open_faults_are_added_up():
    """Two that are allowed each by itself may together be more than was agreed; outages touch no pod."""
    with pytest.raises(Refused, match="2 pods at most, this fault and the 2 that are open may touch 3"):
        allow_together(_env(max_pods=2), [_fault(1), _fault(1), _fault(0)], _fault(1))
    with pytest.raises(
        Refused, match="50% of the ready pods at most, this fault and the 1 that are open may touch 2 of 3"
    ):
        allow_together(_env(max_pods=3, max_share="50%"), [_fault(1)], _fault(1, ready=2))
    allow_together(_env(max_pods=2), [_fault(1)], _fault(1))
    allow_together(_env(max_pods=3), [_fault(0)], _fault(3))
    allow_together(_env(max_pods=3), [_fault(3)], _fault(3))  # there are no more than three
    allow_together(_env(max_pods=3), [_fault(3)], _fault(0))


def test_what_is_open_in_the_ledger_counts(tmp_path):
    """Whoever injected it; what is healed, or of another environment, does not."""
    ledger, env = Ledger(tmp_path), _env(max_pods=1, namespaces=["x"])
    given = {"system": "s", "environment": "here", "server": "y", "namespace": "x", "target": "t", "undo": {}}
    ledger.open("pod_kill", **given | {"environment": "there"}, pods=1, ready=3)
    ledger.healed(ledger.open("pod_kill", **given, pods=1, ready=3))
    ledger.open("pod_kill", **given, pods=1, ready=3)
    with pytest.raises(Refused, match="this fault and the 1 that are open may touch 2"):
        carry_out(_fault(1), ledger, None, env, system="s", heal=lambda *_: "")
    assert len(ledger.entries()) == 3


def test_nothing_is_injected_while_a_record_cannot_be_read(tmp_path):
    """It may be of a fault that is open here: unread is not none."""
    ledger = Ledger(tmp_path)
    ledger.begin()
    (ledger.folder / "0-corrupt.json").write_text("{")
    with pytest.raises(Refused, match=r"which faults are open already is not known: .*0-corrupt"):
        carry_out(_fault(1), ledger, None, _env(namespaces=["x"]), system="s", heal=lambda *_: "")
    assert ledger.entries() == []


def test_a_canary_gets_no_larger_share_of_the_users_than_of_the_pods_may_be_touched():
    """They are what it puts at stake."""
    with pytest.raises(Refused, match="20% at most, not a canary for 30% of the users"):
        allow_users(_env(max_share="20%"), percent=30)
    allow_users(_env(max_share="20%"), percent=20)
