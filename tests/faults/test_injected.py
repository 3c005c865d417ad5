"""What a bad release put into a template is found in whatever became of it, and nothing else is touched."""

import copy

import pytest

from muster.faults.bad_release import with_changes
from muster.faults.injected import Injected
from muster.workload import assemble

GOOD = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "shop/web:1",
                "env": [{"name": "MODE", "value": "calm"}, {"name": "A", "value": "1"}],
            },
            {"name": "proxy", "image": "proxy:1"},
        ]
    },
}
DIGEST = "@sha256:" + 64 * "9"


def _fault(variables=None, image=None, **more):
    bad = with_changes(GOOD, "web", variables or {}, image)
    return Injected(good=GOOD, bad=(bad,), **{"since": 1, **more})


def _with(template, image=None, **variables):
    changed = copy.deepcopy(template)
    container = changed["spec"]["containers"][0]
    container["image"] = image or container["image"]
    container["env"] += [{"name": name, "value": value} for name, value in variables.items()]
    return changed


def test_the_bad_release_becomes_the_good_one():
    """Restarted or not: annotations make no other release of it."""
    fault = _fault({"MODE": "wild"})
    (bad,) = fault.bad
    restarted = copy.deepcopy(bad)
    restarted["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert fault.instead_of(bad) is fault.instead_of(restarted) is GOOD
    assert fault.instead_of(GOOD) is None


def test_only_what_was_injected_is_taken_out():
    """Back to what it was, where it stood; others' variables, images and sidecars stay."""
    fault = _fault({"MODE": "wild", "FAULT": "1"}, "shop/web:9")
    (bad,) = fault.bad
    mixed = _with(bad, LOG_LEVEL="debug")
    mixed["spec"]["containers"][1]["image"] = "proxy:2"
    assert fault.left_in(mixed) == ["variable FAULT", "variable MODE", "image shop/web:9"]
    web, proxy = fault.instead_of(mixed)["spec"]["containers"]
    assert [(item["name"], item["value"]) for item in web["env"]] == [
        ("MODE", "calm"),
        ("A", "1"),
        ("LOG_LEVEL", "debug"),
    ]
    assert (web["image"], proxy["image"]) == ("shop/web:1", "proxy:2")


@pytest.mark.parametrize("value", ["calm", "other"])
def test_a_variable_that_somebody_has_changed_since_is_theirs(value):
    """It is no longer what was injected."""
    fault = _fault({"MODE": "wild"})
    template = copy.deepcopy(fault.bad[0])
    next(item for item in template["spec"]["containers"][0]["env"] if item["name"] == "MODE")["value"] = value
    assert (fault.left_in(template), fault.instead_of(template)) == ([], None)


def test_an_empty_value_is_none_to_the_api():
    """A server drops it; so what runs is not the very text that was sent."""
    fault = _fault({"TOKEN": ""})
    stored = copy.deepcopy(fault.bad[0])
    del stored["spec"]["containers"][0]["env"][-1]["value"]
    assert fault.left_in(stored) == ["variable TOKEN"]
    assert "TOKEN" not in str(fault.instead_of(stored))


@pytest.mark.parametrize(
    ("image", "injected"),
    [
        ("shop/web:9", True),
        ("shop/web" + DIGEST, True),
        ("shop/web:9" + DIGEST, True),
        ("shop/web:10" + DIGEST, False),
        ("shop/web:10", False),
        ("other/web" + DIGEST, False),
        ("shop/web:1", False),
    ],
)
def test_image_is_known_by_its_digest_too(image, injected):
    """An admission webhook writes one; another tag or repository is somebody's own release."""
    fault = _fault(image="shop/web:9")
    mixed = _with(GOOD, image, LOG_LEVEL="debug")
    assert bool(fault.left_in(mixed)) is injected
    if injected:
        after = fault.instead_of(mixed)
        assert after == _with(GOOD, LOG_LEVEL="debug")
        again = _with(after, "shop/web@sha256:" + 64 * "1")  # what the webhook makes of the good one
        assert fault.found_as(mixed).left_in(again) == []
        assert fault.found_as(mixed).left_in(mixed) != []


def test_image_that_the_api_stored_is_the_injected_one():
    """Whatever it is called there: a mirror, for one."""
    stored = _with(GOOD, "mirror.test/shop/web:9")
    sent = with_changes(GOOD, "web", {}, "shop/web:9")
    fault = Injected(good=GOOD, bad=(sent, stored), since=1)
    assert fault.instead_of(_with(stored, LOG_LEVEL="debug")) == _with(GOOD, LOG_LEVEL="debug")
    assert fault.instead_of(stored) is GOOD


def _history(*templates):
    sets = [
        {
            "metadata": {
                "uid": f"rs{number}",
                "labels": {"pod-template-hash": str(number)},
                "annotations": {"deployment.kubernetes.io/revision": str(number)},
                "ownerReferences": [{"uid": "web", "controller": True}],
            },
            "spec": {"template": template},
        }
        for number, template in enumerate(templates, 1)
    ]
    deployment = {"metadata": {"name": "web", "uid": "web"}, "spec": {"template": templates[-1]}}
    return assemble(deployment, sets, [])


@pytest.mark.parametrize(("since", "found"), [(2, [3, 4]), (None, [3])])
def test_releases_of_it_are_those_since_the_drill(since, found):
    """With others' changes on top; what had one of its values before is no drill's. Old records know the very one."""
    fault = _fault({"MODE": "wild", "FAULT": "1"}, since=since)
    (bad,) = fault.bad
    early = with_changes(GOOD, "web", {"MODE": "wild"}, None)
    seen = _history(early, GOOD, bad, _with(bad, LOG_LEVEL="debug"), _with(GOOD, LOG_LEVEL="debug"))
    assert [
        int(item["metadata"]["labels"]["pod-template-hash"]) for item in fault.releases(seen, seen.template)
    ] == found


def test_release_that_is_asked_for_is_never_among_them():
    """It would be deleted under its users."""
    fault = _fault({"FAULT": "1"})
    (bad,) = fault.bad
    seen = _history(GOOD, bad)
    assert fault.releases(seen, bad) == []
    assert len(fault.releases(seen, GOOD)) == 1
