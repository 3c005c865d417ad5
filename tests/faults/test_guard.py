"""What keeps a fault from beginning at all, whatever way it comes; healing is never kept from anything."""

import pytest

from muster.errors import MusterError
from muster.faults import Ledger, Refused
from muster.faults.guard import PRODUCTION, allow, may_begin, same_cluster
from muster.faults.intent import Intent, carry_out
from muster.load import Load
from muster.system import Environment

SERVER = "https://127.0.0.1:1"
WHERE = {
    "server": SERVER,
    "namespace": "shop",
    "deployment": "web",
    "container": "web",
    "selector": "app=web",
    "port": 80,
}
ALWAYS = [{"from": "2020-01-01T00:00:00Z", "until": "2120-01-01T00:00:00Z", "why": "the year's end"}]


@pytest.fixture(autouse=True)
def _nothing_typed(monkeypatch):
    monkeypatch.delenv(PRODUCTION, raising=False)


def make(**fields):
    given = {"name": "live", "description": "", "guard": {"namespaces": ["shop"], "allow_load": True}}
    return Environment.model_validate({**given, "kubernetes": {"kubeconfig": "unused", **WHERE}, **fields})


@pytest.mark.parametrize("given", ["", "live2", "Live", "yes", "true"])
def test_production_is_refused_until_its_name_is_typed_back(monkeypatch, given):
    """Exactly: whoever types another name means another place. It is a mistake of use (exit code 4)."""
    monkeypatch.setenv(PRODUCTION, given)
    with pytest.raises(Refused, match=r"environment live is production.*--production live") as refused:
        may_begin(make(production=True))
    assert refused.value.exit_code == 4
    monkeypatch.setenv(PRODUCTION, "live")
    may_begin(make(production=True))


def test_what_is_no_production_asks_for_no_name():
    """By default."""
    may_begin(make())


def test_nothing_begins_in_a_freeze_and_the_sentence_says_until_when_and_why():
    """One whose end has passed keeps nobody."""
    words = "environment live: changes are frozen until 2120-01-01T00:00:00Z: the year's end"
    with pytest.raises(Refused, match=words):
        may_begin(make(freeze=ALWAYS))
    may_begin(make(freeze=[{**ALWAYS[0], "until": "2021-01-01T00:00:00Z"}]))


def test_an_environment_that_allows_no_namespace_is_left_alone_from_the_start():
    """Not even a Lease is written there."""
    with pytest.raises(Refused, match="allows no faults anywhere"):
        may_begin(make(guard={}))


@pytest.mark.parametrize("fields", [{"production": True}, {"freeze": ALWAYS}, {"guard": {}}])
def test_every_injection_asks_before_anything_is_written(tmp_path, fields):
    """Whoever comes by a way of their own meets it here: no record, no watchdog, no mark, no fault."""

    def act(_entry):
        raise AssertionError("it was injected")

    intent = Intent(kind="pod_kill", namespace="shop", target="pods a", sentences=("kill",), undo={}, act=act)
    ledger = Ledger(tmp_path)
    with pytest.raises(Refused):
        carry_out(intent, ledger, None, make(**fields), system="s", heal=lambda *_: "")
    assert list(ledger.records()) == []


def test_load_asks_for_the_name_too(tmp_path):
    """Users of ours can do harm without any fault."""
    with pytest.raises(Refused, match="nothing is sent there"):
        Load.start(make(production=True, http="http://127.0.0.1:1"), rate=1, users=1, folder=tmp_path)


@pytest.fixture
def config(tmp_path):
    """A kubeconfig whose only context leads to SERVER."""
    file = tmp_path / "kubeconfig"
    file.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],"
        f" clusters: [{{name: k, cluster: {{server: '{SERVER}'}}}}], users: [{{name: u, user: {{token: t}}}}]}}"
    )
    return str(file)


class Session:
    server = SERVER


@pytest.mark.parametrize("guard", [{"namespaces": ["shop"]}, {"namespaces": []}, {"namespaces": ["others"]}])
def test_healing_asks_for_nothing(tmp_path, config, guard):
    """What is broken may be undone in a freeze, in production by whoever finds it, and where nothing is allowed now."""
    env = make(production=True, freeze=ALWAYS, guard=guard, kubernetes={"kubeconfig": config, **WHERE})
    given = {"system": "s", "environment": "live", "server": SERVER, "namespace": "shop"}
    entry = Ledger(tmp_path).open("pod_kill", **given, target="pods a", undo={})
    same_cluster(entry, env, Session())
    with pytest.raises(MusterError, match="production"):
        may_begin(env)


def test_healing_stays_in_the_cluster_that_the_facts_name(tmp_path, config):
    """Namespaces are not asked, addresses are."""
    env = make(kubernetes={"kubeconfig": config, **WHERE, "server": "https://*.staging.test"})
    given = {"system": "s", "environment": "live", "server": SERVER, "namespace": "shop"}
    entry = Ledger(tmp_path).open("pod_kill", **given, target="pods a", undo={})
    with pytest.raises(Refused, match=r"kubernetes\.server"):
        same_cluster(entry, env, Session())


@pytest.mark.parametrize("namespaces", [[], ["others"]])
def test_nothing_is_aimed_at_a_namespace_that_was_taken_out_of_the_guard(config, namespaces):
    """Undoing may go there, breaking may not."""
    env = make(guard={"namespaces": namespaces}, kubernetes={"kubeconfig": config, **WHERE})
    with pytest.raises(Refused, match="allows no faults in namespace shop"):
        allow(env, Session(), namespace="shop")


@pytest.mark.parametrize("server", [SERVER, SERVER + "/", "https://127.0.0.1:*"])
def test_the_server_is_the_one_that_the_facts_name(config, server):
    """As it is, or by a shell pattern."""
    allow(make(kubernetes={"kubeconfig": config, **WHERE, "server": server}), Session(), namespace="shop")


@pytest.mark.parametrize("server", ["https://127.0.0.1:2", "https://*.staging.test", "127.0.0.1"])
def test_a_kubeconfig_that_leads_elsewhere_is_refused(config, server):
    """A context is only a name: whose cluster it means may change under it."""
    env = make(kubernetes={"kubeconfig": config, **WHERE, "server": server})
    with pytest.raises(Refused, match=r"leads to https://127.0.0.1:1, but environment live is at .*kubernetes.server"):
        allow(env, Session(), namespace="shop")


def test_whichever_cluster_the_kubeconfig_happens_to_point_at_is_not_broken():
    """Context or server must be named, except for the world that Muster boots by itself."""
    unnamed = {"kubeconfig": "unused", **WHERE, "server": ""}
    with pytest.raises(Refused, match=r"neither kubernetes.context nor kubernetes.server"):
        may_begin(make(kubernetes=unnamed))
    may_begin(make(kubernetes={**unnamed, "context": "staging"}))
    may_begin(make(kubernetes=unnamed, embedded=True))
