"""What objects ask for, whom they select and what their status says, without any world."""

import pytest

from lab.chaos import status
from lab.chaos.links import NONE, Effect, between, suffered
from lab.chaos.spec import Selection, SpecError, read, seconds
from lab.chaos.targets import choose, is_selected
from lab.objects import now, timestamp

KINDS = {"delay": "NetworkChaos", "partition": "NetworkChaos", "stress": "StressChaos", "pod-kill": "PodChaos"}


def item(action, **spec):
    return {
        "kind": KINDS[action],
        "metadata": {"creationTimestamp": now()},
        "spec": {"action": action, "mode": "all", "selector": {}} | spec,
    }


def pod(name="a", phase="Running", **labels):
    return {
        "metadata": {"namespace": "shop", "name": name, "labels": labels},
        "spec": {"nodeName": "lab-node"},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("text", "wanted"), [("100ms", 0.1), ("1m30s", 90), ("1.5h", 5400), ("250us", 0.00025), ("0s", 0)]
)
def test_durations_are_gos(text, wanted):
    """As in every Chaos Mesh object."""
    assert seconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "10", "s", "1 s", "-1s", "1d", "1s2"])
def test_what_is_no_duration_is_refused(text):
    """With the words that Go has for it."""
    with pytest.raises(SpecError, match="invalid duration"):
        seconds(text)


@pytest.mark.parametrize(("size", "wanted"), [("256MB", 256 << 20), ("1GiB", 1 << 30), ("64k", 64 << 10), ("512", 512)])
def test_sizes_count_in_powers_of_1024(size, wanted):
    """Between all workers, not for each."""
    found = read(item("stress", stressors={"memory": {"workers": 4, "size": size}}))
    assert found.memory.bytes == wanted


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"labelSelectors": {"app": "web"}}, True),
        ({"labelSelectors": {"app": "web", "tier": "x"}}, False),
        ({"expressionSelectors": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, True),
        ({"expressionSelectors": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"pods": {"shop": ["a", "b"]}}, True),
        ({"pods": {"other": ["a"]}}, False),
        ({"podPhaseSelectors": ["running"]}, True),
        ({"podPhaseSelectors": ["Failed"]}, False),
        ({"nodes": ["elsewhere"]}, False),
    ],
)
def test_all_of_a_selector_must_fit(selector, selected):
    """An empty one selects every pod of the namespace."""
    assert is_selected(pod(app="web"), selector) is selected


def test_a_selector_that_is_not_understood_selects_nobody():
    """A field left out by mistake must not widen the blast radius."""
    with pytest.raises(SpecError, match=r"physicalMachines is not carried out"):
        is_selected(pod(), {"physicalMachines": {}})


@pytest.mark.parametrize(
    ("mode", "value", "counts"),
    [
        ("one", "", {1}),
        ("all", "", {10}),
        ("fixed", "3", {3}),
        ("fixed", "99", {10}),
        ("fixed-percent", "35", {3}),
        ("fixed-percent", "5", {0}),
        ("random-max-percent", "50", set(range(6))),
    ],
)
def test_the_mode_says_how_many(mode, value, counts):
    """Percentages are rounded down, as Chaos Mesh does."""
    pods = [pod(f"p{number}") for number in range(10)]
    chosen = choose(pods, Selection(mode=mode, value=value, selector={}))
    assert len(chosen) in counts
    assert len({each["metadata"]["name"] for each in chosen}) == len(chosen)


@pytest.mark.parametrize(
    ("direction", "felt"), [("to", {("a", "t")}), ("from", {("t", "a")}), ("both", {("a", "t"), ("t", "a")})]
)
def test_the_direction_says_whose_packets_suffer(direction, felt):
    """Between the two groups only; nobody else's do."""
    slow = Effect(delay_s=1)
    links = between(frozenset("ab"), frozenset("tu"), direction, slow)
    ways = [(source, target) for source in "atx" for target in "atx" if source != target]
    assert {way for way in ways if suffered(links, *way)} == felt


def test_without_a_target_everybody_is_meant_and_with_an_empty_one_nobody():
    """A target group whose pods are gone must not become everybody."""
    assert suffered(between(frozenset("a"), None, "to", Effect(loss=0.5)), "a", "x").loss == 0.5
    assert between(frozenset("a"), frozenset(), "to", Effect(loss=0.5)) == []


def test_effects_add_up():
    """Delays are summed; what survives one loss can fall to the other."""
    both = Effect(delay_s=1, loss=0.5) + Effect(delay_s=2, jitter_s=0.5, loss=0.5, cut=True)
    assert both == Effect(delay_s=3, jitter_s=0.5, loss=0.75, cut=True)
    assert not NONE


def test_a_fault_ends_with_its_duration_but_one_shots_are_never_done_twice():
    """A kill whose duration is over stays done; recovering it would let it be applied again."""
    created = {"creationTimestamp": timestamp(0)}
    past = item("delay", delay={"latency": "1s"}, duration="1m") | {"metadata": created}
    assert status.desired_phase(past, read(past)) == ("Stop", None)
    killed = item("pod-kill", duration="1m") | {"metadata": created}
    assert status.desired_phase(killed, read(killed)) == ("Run", None)
    fresh = item("delay", delay={"latency": "1s"}, duration="1m")
    phase, left_s = status.desired_phase(fresh, read(fresh))
    assert phase == "Run"
    assert 57 < left_s <= 60


def test_conditions_follow_from_the_records():
    """No record is neither injected nor recovered: nothing selected is never a pass."""

    def holding(records):
        return {each["type"] for each in status.conditions(records, is_paused=False) if each["status"] == "True"}

    one, other = status.record(".", "shop/a"), status.record(".", "shop/b")
    assert holding([]) == set()
    assert holding([one]) == {"Selected", "AllRecovered"}
    status.note(one, "Apply")
    assert holding([one, other]) == {"Selected"}
    status.note(other, "Apply", "pod shop/b has no address")
    assert other["phase"] == "Not Injected"
    assert other["events"][-1]["message"] == "pod shop/b has no address"
    status.note(other, "Apply")
    assert holding([one, other]) == {"Selected", "AllInjected"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (item("delay"), "spec.delay: Required value"),
        (item("delay", delay={}), "spec.delay: Required value"),
        (item("delay", delay={"jitter": "1ms"}), "latency is missing"),
        (item("partition", direction="up"), 'spec.direction: "up"'),
        (item("partition", externalTargets=["example.org"]), "only pods are targets"),
        (item("partition", mode="fixed"), "spec.value"),
        (item("partition", mode="fixed-percent", value="101"), "from 1 to 100"),
        (item("partition", target={"mode": "any"}), "spec.target.mode"),
        (item("stress"), "memory or cpu is required"),
        (item("stress", stressors={"cpu": {"workers": 0}}), "spec.stressors.cpu.workers"),
        (item("stress", stressors={"memory": {"workers": 1, "size": "lots"}}), '"lots" is no size'),
        (item("pod-kill", mode=None), "spec.mode"),
        (item("pod-kill") | {"spec": None}, "spec.mode"),
    ],
)
def test_what_cannot_be_understood_is_named(wrong, sentence):
    """By its field, in one sentence."""
    with pytest.raises(SpecError) as error:
        read(wrong)
    assert sentence in str(error.value)
