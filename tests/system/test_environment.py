"""How an environment's addresses are filled in."""

import json

import pytest

from muster.errors import UsageError
from muster.system import load_environment, load_system
from muster.system.fill import Fill, expand
from muster.system.rollback import Rollback


def test_endpoints_fill_the_section_and_are_coerced(small):
    """A time scale comes as text from the endpoints and is a number afterwards."""
    system = load_system("small", small())
    lab = load_environment(system, "lab", endpoints={"time_scale": "60", "prometheus": "http://127.0.0.1:1"})
    assert (lab.name, lab.time_scale, lab.prometheus) == ("lab", 60.0, "http://127.0.0.1:1")
    assert lab.scaled(300) == 5


@pytest.mark.parametrize(
    ("variables", "file"),
    [
        ({}, ".lab/endpoints.json"),
        ({"SMALL_STATE": "other"}, "other/endpoints.json"),
        ({"SMALL_STATE": "other", "SMALL_ENDPOINTS": "third/e.json"}, "third/e.json"),
        ({"SMALL_STATE": ""}, ".lab/endpoints.json"),
    ],
)
def test_the_endpoints_file_is_found_through_nested_defaults(small, monkeypatch, variables, file):
    """The process environment moves the file; an empty variable counts as unset, as in a shell."""
    root = small()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (root / file).parent.mkdir(parents=True)
    (root / file).write_text(json.dumps({"time_scale": "60", "prometheus": f"http://{file}"}))
    assert load_environment(load_system("small"), "lab").prometheus == f"http://{file}"


def test_an_environment_that_is_not_running_says_how_to_start_it(small):
    """The missing file is the sign that the embedded environment does not run."""
    system = load_system("small", small())
    with pytest.raises(UsageError) as caught:
        load_environment(system, "lab")
    assert str(caught.value) == (
        "environment lab of small is not running (no .lab/endpoints.json): start it with 'muster lab up'"
    )


def test_an_unknown_environment_offers_the_known_ones(small):
    """Names are offered, the nearest first."""
    system = load_system("small", small())
    with pytest.raises(UsageError, match=r"small has no environment 'ow': did you mean 'own'\? known: lab, own"):
        load_environment(system, "ow")


def test_a_key_that_nothing_fills_is_named_with_its_place(small):
    """An address that the running environment does not give is never an empty string."""
    system = load_system("small", small())
    with pytest.raises(UsageError, match=r"systems/small.yaml:36: environments.lab.prometheus: nothing fills "):
        load_environment(system, "lab", endpoints={"time_scale": "60"})


@pytest.mark.parametrize(("scale", "word"), [("0", "greater than 0"), ("fast", "number"), ("-1", "greater than 0")])
def test_a_time_scale_that_is_no_scale_is_refused(small, scale, word):
    """Windows are divided by it."""
    system = load_system("small", small())
    with pytest.raises(UsageError, match=rf"environments.lab.time_scale: found '{scale}', expected .*{word}"):
        load_environment(system, "lab", endpoints={"time_scale": scale, "prometheus": "x"})


def test_capitals_come_from_the_process_environment(small, monkeypatch):
    """An environment without endpoints file is filled from variables or their defaults."""
    system = load_system("small", small())
    assert load_environment(system, "own").prometheus == "http://127.0.0.1:9090"
    monkeypatch.setenv("SMALL_PROMETHEUS", "http://127.0.0.2:9090")
    assert load_environment(system, "own").prometheus == "http://127.0.0.2:9090"


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_broken_endpoints_are_one_sentence(small, content):
    """A half-written or foreign file is named, and nothing is guessed."""
    root = small()
    (root / ".lab").mkdir()
    (root / ".lab" / "endpoints.json").write_text(content)
    with pytest.raises(
        UsageError, match=r"environment lab of small: \.lab/endpoints\.json is damaged, .* 'muster lab up'"
    ):
        load_environment(load_system("small"), "lab")


def test_endpoints_without_a_key_are_to_blame_themselves(small):
    """The system's file is right: the sentence begins with the one that is not, and says what to do."""
    root = small()
    (root / ".lab").mkdir()
    (root / ".lab" / "endpoints.json").write_text('{"time_scale": "60"}')
    with pytest.raises(UsageError) as caught:
        load_environment(load_system("small"), "lab")
    assert str(caught.value) == (
        "environment lab of small: .lab/endpoints.json has no 'prometheus' (known: time_scale), "
        "which systems/small.yaml:36: environments.lab.prometheus asks for: run 'muster lab down' and 'muster lab up'"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${a}/x/${b}", "1/x/2"),
        ("${MISSING_HERE:-${ALSO_MISSING:-${a}}}!", "1!"),
        ("${MISSING_HERE:-}", ""),
        ("$${a}", "${a}"),
        ("{selector} $value", "{selector} $value"),
    ],
)
def test_expansion_is_the_shells(text, value):
    """Nested defaults, escapes, and text that only looks alike."""
    assert expand(text, {"a": "1", "b": "2"}) == value


@pytest.mark.parametrize("text", ["${a", "${}", "${a b}", "${MISSING_HERE}", "${MISSING_HERE:-${a}"])
def test_what_cannot_be_expanded_is_refused(text):
    """Nothing is silently left as it stands."""
    with pytest.raises(Fill.Missing):
        expand(text, {"a": "1"})


def test_a_channel_without_its_secret_is_refused(small):
    """A pager without a key pages nobody."""
    own = "description: Somewhere else\n"
    root = small((own, own + "    contacts:\n      on-call: {kind: pagerduty, url: 'http://127.0.0.1'}\n"))
    with pytest.raises(UsageError, match=r"contacts.on-call.secret_file: a channel of kind pagerduty needs it"):
        load_environment(load_system("small", root), "own")


@pytest.mark.parametrize(
    ("rollback", "words"),
    [
        ({"canary": {"ingress": "a", "deployment": "b"}}, "no alert speaks of it"),
        ({"strategy": "canary"}, "strategy canary needs this section"),
        ({"command": {"argv": ["x"]}}, "is only for strategy command"),
    ],
)
def test_a_canary_that_no_alert_would_speak_of_is_refused(rollback, words):
    """Beside another strategy it needs series of its own; each strategy needs its section."""
    with pytest.raises(ValueError, match=words):
        Rollback.model_validate(rollback)


def test_a_canary_with_series_of_its_own_stands_beside_any_strategy():
    """It is aborted for its own alerts only."""
    canary = {"ingress": "a", "deployment": "b", "metric_selector": 'app="b"'}
    assert Rollback.model_validate({"canary": canary}).strategy == "kubernetes"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            "rules: {labels: {release: my prometheus}}",
            r"rules\.labels\.release: found 'my prometheus', expected at most 63",
        ),
        ("rules: {labels: {release: 1}}", r"rules\.labels\.release: found 1, expected .*string"),
        ("rules: {annotations: {/a: b}}", r"rules\.annotations\./a: '/a' is no name that the Kubernetes API takes"),
        ("rules: {namespace: Monitoring}", r"rules\.namespace: found 'Monitoring', expected "),
        ("rules: {label: {}}", r"rules\.label: unknown key; did you mean 'labels'\?"),
        ("runbooks: wiki/runbooks", r"runbooks: found 'wiki/runbooks', expected an address that people can open"),
    ],
)
def test_what_the_operator_and_pages_cannot_use_is_refused(small, facts, said):
    """Before it is rendered: the API would refuse the object, and nobody could open the link."""
    system = load_system(
        "small", small(("environments:\n", f"environments:\n  odd:\n    description: x\n    {facts}\n"))
    )
    with pytest.raises(UsageError, match=rf"systems/small\.yaml:\d+: environments\.odd\.{said}"):
        load_environment(system, "odd")


def test_without_a_home_its_files_are_missing_and_nothing_breaks(monkeypatch):
    """A container often runs as a user whom no record knows: the path stays, and is said to be missing where read."""

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setenv("HOME", "/home/me")
    assert Fill({}).tree({"kubeconfig": "~/.kube/config"}) == {"kubeconfig": "/home/me/.kube/config"}
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert Fill({}).tree({"kubeconfig": "~/.kube/config"}) == {"kubeconfig": "~/.kube/config"}
