"""The facts of x0tta6bl4 say what the documents say, and lead to sections that exist."""

import re
from pathlib import Path

import pytest
import yaml

from muster.system import load_environment, load_system
from muster.system.environment import Environment
from muster.system.model import LEVELS
from muster.system.references import walk

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def system():
    return load_system("x0tta6bl4", ROOT)


@pytest.mark.parametrize(
    ("alert", "bound", "lasting"),
    [
        ("X0TTA6BL4ErrorRatioRollback", 0.10, 300),
        ("X0TTA6BL4LatencyRollback", 0.5, 600),
        ("X0TTA6BL4DownRollback", 0, 300),
        ("X0TTA6BL4PQCFallback", 0, 0),
    ],
)
def test_the_automatic_rollback_triggers(system, alert, bound, lasting):
    """Error ratio over 10% for 5 min, P95 over 500 ms for 10 min, down for 5 min, PQC fallback at once."""
    entry = system.alerts[alert]
    assert (entry.level, entry.action) == ("rollback", "rollback")
    assert system.limit_of(alert).above == pytest.approx(bound)
    assert system.duration_of(alert) == lasting


def test_only_rollback_triggers_roll_back(system):
    """The label that the responder acts on is carried by exactly the alerts at the level of that name."""
    rolling = {name for name, alert in system.alerts.items() if alert.action == "rollback"}
    assert rolling == {name for name, alert in system.alerts.items() if alert.level == "rollback"}
    assert len(rolling) == 4


def test_both_alert_families_are_there(system):
    """Each alert name of the documents is an alert or an alias of one; restarts are a fact about pods, too."""
    names = {*system.alerts, *(alias for alert in system.alerts.values() for alias in alert.aliases)}
    named = ["HealthCheckFailed", "PQCHandshakeFailure", "HighErrorRate", "HighLatency", "HighCPUUsage"]
    named.append("FrequentRestarts")
    second = ["PQC_HANDSHAKE_FAILURE", "HIGH_ERROR_RATE", "HIGH_LATENCY", "MEMORY_EXHAUSTION", "SERVICE_DOWN"]
    assert {*(f"X0TTA6BL4{name}" for name in named), *second} <= names
    assert (system.pods.most_restarts, system.pods.restart_window_s) == (3, 900)


def test_ladders_rise(system):
    """No rung of a ladder is easier to reach than the one below it."""
    for name, slo in system.slo.items():
        bounds = [slo.limit(level).above for level in LEVELS[1:] if slo.limit(level)]
        assert bounds == sorted(bounds), name
        if slo.objective and slo.objective.below is not None:
            worse = [limit.above for limit in (slo.critical, slo.rollback) if limit]
            assert all(slo.objective.below <= bound for bound in worse), name


def headings(page, level=""):
    """The headings of a page as their anchors are written."""
    found = re.findall(rf"^{level or '#+'} (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    return {heading.lower().replace(" ", "-") for heading in found}


def test_every_fact_leads_to_a_section_and_a_step_that_exist(system):
    """Links from a page at night must lead somewhere, and so must the next step that a finding names."""
    anchored = [(place, fact) for place, fact in walk(system) if getattr(fact, "runbook", "")]
    assert len(anchored) > len(system.alerts) + len(system.slo)
    for place, fact in anchored:
        page, _, section = system.runbook_url(fact.runbook).partition("#")
        assert section in headings(page), place
        steps = re.split(r"^## ", (ROOT / page).read_text(), flags=re.MULTILINE)
        (text,) = [one for one in steps if one.partition("\n")[0].lower().replace(" ", "-") == section]
        if getattr(fact, "step", None):
            assert re.search(rf"^{fact.step}\. ", text, flags=re.MULTILINE), place


def test_the_runbook_page_names_every_alert_and_alias(system):
    """Whoever searches the page for the name on the pager finds it."""
    text = (ROOT / "docs/runbooks/x0tta6bl4.md").read_text()
    for name, alert in system.alerts.items():
        assert all(f"`{word}`" in text for word in (name, *alert.aliases)), name
    assert f"`{system.no_data.alert}`" in text


def test_decisions_named_as_sources_exist(system):
    """A number whose source is a decision leads to that decision."""
    sources = [source for _, fact in walk(system) for source in as_list(getattr(fact, "source", []))]
    decided = {source.removeprefix("decisions / ") for source in sources if source.startswith("decisions / ")}
    assert len(decided) > 8
    assert decided <= set(re.findall(r"^##+ (.+)$", (ROOT / "docs/decisions.md").read_text(), flags=re.MULTILINE))


def as_list(source):
    return [source] if isinstance(source, str) else source


OF_THE_LAB = {"embedded", "endpoints_file", "time_scale"}
OF_THE_LOADER = {"name", "base_dir"}


def test_the_example_to_copy_is_valid_and_complete(system, monkeypatch):
    """Every key that an environment may have stands in it, used or in a comment, and the whole can be loaded."""
    for name in ("URL", "PROMETHEUS", "ALERTMANAGER", "RESPONDER"):
        monkeypatch.delenv(f"X0TTA6BL4_{name}", raising=False)
    staging = load_environment(system, "staging", ROOT)
    assert set(staging.contacts) == set(system.contacts)
    assert (staging.time_scale, staging.guard.max_pods, staging.guard.namespaces) == (1, 0, [])
    text = (ROOT / "systems/x0tta6bl4.yaml").read_text().partition("\n  staging:\n")[2]
    shown = set(re.findall(r"^    (?:# )?(\w+):", text, flags=re.MULTILINE))
    known = {field.alias or name for name, field in Environment.model_fields.items()}
    assert shown | OF_THE_LAB | OF_THE_LOADER == known


def test_what_the_example_has_in_comments_is_valid_too(system):
    """Whoever takes away the comment sign gets a file that loads."""
    lines = (ROOT / "systems/x0tta6bl4.yaml").read_text().partition("\n  staging:\n")[2].splitlines()
    whole = "\n".join(re.sub(r"^( +)# (?=( *- \{)|( *\w+:( |$)))", r"\1", line) for line in lines)
    section = yaml.safe_load(whole)
    section["rollback"] |= {"canary": None, "command": None}  # alternatives of each other
    section["kubernetes"]["kubeconfig"] = "~/.kube/config"
    environment = Environment.model_validate({**section, "name": "staging"})
    assert environment.freeze
    assert environment.outages["prometheus"].workload
    for strategy, other in (("canary", "command"), ("command", "canary")):
        chosen = {**yaml.safe_load(whole)["rollback"], "strategy": strategy}
        chosen.pop(other)
        assert Environment.model_validate({**section, "rollback": chosen}).rollback.strategy == strategy


def test_no_secret_stands_in_the_file():
    """Only names of files: every secret_file and token_file is a path or a key to one."""
    text = (ROOT / "systems/x0tta6bl4.yaml").read_text()
    assert not re.search(r"(?i)(password|api_?key|routing_key):", text)
    assert all(value.startswith(("/", '"${', "${")) for value in re.findall(r"(?:secret|token)_file: (\S+)", text))
