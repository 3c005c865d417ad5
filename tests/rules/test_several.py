"""Several systems in one Alertmanager: another system is another file, and takes nothing from the first."""

import copy
import re

import pytest
import yaml

from muster.errors import UsageError
from muster.rules import differing, render, taken, write
from muster.rules.files import files
from muster.system.model import System


@pytest.fixture(scope="module")
def other(system, staging):
    """A second system and its staging: its own people and contacts of the same name, and no responder."""
    second = system.model_copy(update={"name": "other", "_file": None})
    assert isinstance(second, System)
    contacts = {name: one.model_copy(update={"url": "https://other.example"}) for name, one in staging.contacts.items()}
    return second, staging.model_copy(update={"contacts": contacts, "responder": "", "group_wait_s": 45.0})


@pytest.fixture(scope="module")
def merged(system, staging, other, tmp_path_factory):
    """The folder that both are rendered to."""
    folder = tmp_path_factory.mktemp("both")
    write(system, staging, folder, others=[other])
    return folder


def test_amtool_accepts_both_in_one_file(merged, tool):
    """No receiver stands in another's place: the real parser refuses two of one name."""
    assert "SUCCESS" in tool("amtool", "check-config", merged / "alertmanager.yml").stdout


@pytest.mark.parametrize(
    ("labels", "reached"),
    [
        ({"system": "x0tta6bl4", "tell": "on-call,team-lead"}, "x0tta6bl4/staging/on-call+team-lead"),
        ({"system": "other", "tell": "on-call,team-lead"}, "other/staging/on-call+team-lead"),
        ({"system": "x0tta6bl4", "tell": "nobody"}, "x0tta6bl4/staging/on-call"),
        ({"system": "other", "tell": "nobody", "level": "critical"}, "other/staging/on-call"),
        ({"system": "other", "tell": "on-call", "action": "rollback"}, "other/staging/on-call"),
        ({"system": "x0tta6bl4", "tell": "on-call", "action": "rollback"},
         "x0tta6bl4/staging/responder,x0tta6bl4/staging/on-call"),
        ({"system": "third", "tell": "on-call"}, "x0tta6bl4/staging/on-call"),
    ],
)  # fmt: skip
def test_each_systems_alerts_reach_its_own_people(merged, tool, labels, reached):
    """Asked of Alertmanager's own routing: the same word means each system's own people."""
    words = [f"{key}={value}" for key, value in {"alertname": "A", "environment": "staging", **labels}.items()]
    said = tool("amtool", "config", "routes", "test", f"--config.file={merged / 'alertmanager.yml'}", *words)
    assert said.stdout.strip() == reached


def test_a_systems_routes_are_one_entry_that_stands_anywhere(system, staging, other, merged):
    """What a team pastes into an Alertmanager of somebody else's brings its own grouping, waits and receivers."""
    both = yaml.safe_load((merged / "alertmanager.yml").read_text())
    alone = [yaml.safe_load(render(*one, "alertmanager")) for one in ((system, staging), other)]
    assert both["route"]["routes"][:2] == [one["route"]["routes"][0] for one in alone]
    assert both["receivers"] == [made for one in alone for made in one["receivers"]]
    own = both["route"]["routes"][1]
    assert own["group_wait"] == "45s"
    assert {"receiver", "group_by", "group_interval", "repeat_interval"} <= own.keys()


def test_a_systems_routes_work_in_a_configuration_of_somebody_else(system, staging, tool, tmp_path):
    """Pasted into what kube-prometheus-stack begins with: ours are told, what is nobody's stays nobody's."""
    ours = yaml.safe_load(render(system, staging, "alertmanager"))
    theirs = {"receiver": "null", "routes": [{"receiver": "null", "matchers": ['alertname="Watchdog"']}]}
    theirs["routes"].append(ours["route"]["routes"][0])
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump({"route": theirs, "receivers": [{"name": "null"}, *ours["receivers"]]}))
    assert "SUCCESS" in tool("amtool", "check-config", file).stdout
    for labels, reached in (
        (["alertname=Watchdog"], "null"),
        (["alertname=A", "system=x0tta6bl4", "environment=staging", "tell=on-call"], "x0tta6bl4/staging/on-call"),
        (["alertname=A", "system=x0tta6bl4", "environment=staging"], "x0tta6bl4/staging/on-call"),
        (["alertname=A", "system=x0tta6bl4", "environment=lab", "tell=on-call"], "null"),
    ):
        said = tool("amtool", "config", "routes", "test", f"--config.file={file}", *labels).stdout.strip()
        assert said == reached, labels


def test_everything_else_is_a_file_for_each(merged, rendered):
    """Rules and cases of the first are byte for byte what they are without the second."""
    for kind in ("rules", "cases", "prometheusrule"):
        names = {file.name for file in (merged / kind).iterdir()}
        assert names == {"x0tta6bl4.yml", "other.yml"}
        alone = rendered["staging"] / kind / "x0tta6bl4.yml"
        assert (merged / kind / "x0tta6bl4.yml").read_bytes() == alone.read_bytes()


def test_writing_one_over_both_is_noticed_before(system, staging, other, merged):
    """The routes of the one that is not named would be gone, and nobody would be told of its alerts."""
    said = taken(merged, [(system, staging)])
    assert re.search(
        r"alertmanager\.yml has the routes of systems/other\.yaml, too, .*rules other x0tta6bl4 --env", said
    )
    assert taken(merged, [(system, staging), other]) == ""
    assert taken(merged, [(system, staging)], ("prometheus", "cases")) == ""
    production = staging.model_copy(update={"name": "production"})
    assert "was rendered for staging: give each environment a folder" in taken(merged, [(system, production)])


def test_a_second_system_is_no_difference_of_the_first(system, staging, other, merged):
    """Both held against the folder: nothing differs; one line that does is shown with what it should be."""
    assert differing(system, staging, merged, others=[other]) == {}
    changed = copy.deepcopy(staging).model_copy(update={"repeat_interval_s": 7200.0})
    (diff,) = differing(system, changed, merged, others=[other]).values()
    assert "-  repeat_interval: 4h" in diff
    assert "+  repeat_interval: 2h" in diff
    assert len(diff.splitlines()) < 20


def test_each_environment_has_what_is_made_at_its_scale(system, staging, other, tmp_path):
    """A scaled one has no cases, and takes those of the others from nobody."""
    second, there = other
    write(second, there.model_copy(update={"time_scale": 60.0}), tmp_path, others=[(system, staging)])
    assert [file.name for file in (tmp_path / "cases").iterdir()] == ["x0tta6bl4.yml"]
    assert len(list((tmp_path / "rules").iterdir())) == 2


def test_dashboards_are_of_those_who_have_some(system, staging, other):
    """One system without any is a mistake when it is asked for by itself, and none beside others."""
    plain = (other[0].model_copy(update={"dashboards": []}), other[1])
    assert list(files(*plain, "grafana", [(system, staging)])) == ["x0tta6bl4.json"]
    with pytest.raises(UsageError, match="names no dashboards"):
        files(*plain, "grafana")
