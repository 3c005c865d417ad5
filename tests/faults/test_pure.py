"""What a fault would do, decided without a cluster."""

import random

import pytest

from muster.errors import MusterError, UsageError
from muster.faults import Refused
from muster.faults.bad_release import with_changes
from muster.faults.pod_kill import choose
from muster.faults.registry import faults

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


@pytest.mark.parametrize("how_many", ["3", "100%"])
def test_last_ready_pod_is_taken_only_by_the_word_all(how_many):
    """A number that happens to be all of them is refused."""
    with pytest.raises(Refused, match="say all"):
        choose(READY, how_many, random.SystemRandom())


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
    assert set(faults()) >= {"bad_release", "pod_kill"}
    assert all(kind == fault.KIND and "kubernetes" in fault.NEEDS for kind, fault in faults().items())
