"""Rules that Prometheus accepts: every alert, every indicator, durations scaled and thresholds not."""

import copy
import re

import pytest
import yaml

from lab.api.custom import structural
from lab.api.errors import Causes
from muster.rules import render
from muster.rules.prometheus import groups, prometheus_rule


def rules_of(system, environment, *, release=None):
    (group,) = groups(system, environment)
    alerts = [rule for rule in group["rules"] if "alert" in rule and rule["labels"].get("release") == release]
    return group, {rule["alert"]: rule for rule in alerts}


@pytest.mark.parametrize("environment", ["staging", "lab"])
def test_promtool_accepts_the_rules(rendered, tool, environment):
    """The real parser is the judge."""
    assert "SUCCESS" in tool("promtool", "check", "rules", rendered[environment] / "rules/x0tta6bl4.yml").stdout


def test_every_alert_and_every_indicator_is_there(system, staging):
    """What the facts name, Prometheus evaluates."""
    group, alerts = rules_of(system, staging)
    assert set(alerts) == {*system.alerts, system.no_data.alert}
    assert len([rule for rule in group["rules"] if "record" in rule]) == len(system.slo)


def test_alerts_carry_what_routing_and_people_need(system, staging):
    """Labels for the routes, annotations for who is woken."""
    for rule in rules_of(system, staging)[1].values():
        assert {"severity", "system", "environment", "action", "slo", "level", "tell", "owner"} <= set(rule["labels"])
        assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])
        assert rule["labels"]["owner"] in system.contacts


@pytest.mark.parametrize("environment", ["staging", "lab"])
def test_every_alert_names_its_system_and_environment(rendered, environment):
    """The canary's and the absences', too: the responder acts on no alert that leaves it to be guessed."""
    (group,) = yaml.safe_load((rendered[environment] / "rules/x0tta6bl4.yml").read_text())["groups"]
    labels = [rule["labels"] for rule in group["rules"] if "alert" in rule]
    assert len(labels) > 10
    assert {(one["system"], one["environment"]) for one in labels} == {("x0tta6bl4", environment)}


def test_pages_say_who_is_next(system, staging):
    """Times are people's: neither scaled, nor for somebody who is told at once."""
    said = {name: rule["annotations"].get("escalation") for name, rule in rules_of(system, staging)[1].items()}
    assert said["X0TTA6BL4HealthCheckFailed"] == (
        "senior after 15m, team-lead after 30m, engineering-lead after 30m, cto after 1h"
    )
    assert said["X0TTA6BL4PQCFallback"] == "senior after 15m"
    assert said["X0TTA6BL4HighErrorRate"] is None
    assert rules_of(system, staging)[1]["X0TTA6BL4HealthCheckFailed"]["labels"]["sev"] == "SEV-1"


def test_time_scale_divides_durations_and_nothing_else(system, staging, lab):
    """The same rules, 60 times as fast: 5m is 5s, 15s is 250ms, 10% stays 10%."""
    (group, true), (quick_group, quick) = rules_of(system, staging), rules_of(system, lab)
    assert (group["interval"], quick_group["interval"]) == ("15s", "250ms")
    name = "X0TTA6BL4ErrorRatioRollback"
    assert (true[name]["for"], quick[name]["for"]) == ("5m", "5s")
    for alert in system.alerts:
        assert true[alert]["expr"].replace("staging", "lab") == quick[alert]["expr"].replace("staging", "lab")
    assert true[name]["expr"].endswith("> 0.1")
    windows = [rule["expr"] for rule in quick_group["rules"] if rule.get("record", "").endswith("rate1m")]
    assert windows
    assert all("[1s]" in expression and "[1m]" not in expression for expression in windows)


def test_triggers_are_judged_for_the_canary_by_itself(system, lab):
    """The same limits and durations on its own series; no absence is read: a canary that is gone is no outage."""
    whole, canary = rules_of(system, lab)[1], rules_of(system, lab, release="canary")[1]
    assert set(canary) == {"X0TTA6BL4ErrorRatioRollback", "X0TTA6BL4LatencyRollback", "X0TTA6BL4PQCFallback"}
    for name, rule in canary.items():
        assert rule["for"] == whole[name]["for"]
        assert rule["expr"].replace(":canary_", ":") == whole[name]["expr"] != rule["expr"]
        assert {**whole[name]["labels"], "release": "canary"} == rule["labels"]
        assert rule["annotations"]["summary"].startswith("x0tta6bl4/lab canary: ")
    recorded = {rule["record"]: rule["expr"] for rule in groups(system, lab)[0]["rules"] if "record" in rule}
    assert 'app="x0tta6bl4-staging-canary"' in recorded["x0tta6bl4:canary_error_ratio:rate1m"]
    assert "canary" not in recorded["x0tta6bl4:error_ratio:rate1m"]


def test_without_a_canary_there_is_no_rule_for_one(system, staging):
    """Nor where its series are not told apart."""
    assert rules_of(system, staging, release="canary")[1] == {}


def test_the_scale_changes_no_other_word(system, staging):
    """Every duration is its 60th part, or discovery's own; with durations blotted out the texts are one."""
    quick = render(system, staging.model_copy(update={"time_scale": 60.0}), "prometheus")
    true = render(system, staging, "prometheus")
    written = re.compile(
        r"(?<=\[)\w+(?=\])|(?<=for: )\w+|(?<=interval: )\w+|(?<= over )\d\w+(?= for)|(?<= for )\d\w+(?= \()"
    )
    assert written.sub("*", " ".join(true.split())) == written.sub("*", " ".join(quick.split()))
    pairs = list(zip(*(written.findall(" ".join(text.split())) for text in (true, quick)), strict=True))
    assert len(pairs) > 50
    for slow, fast in pairs:
        assert in_seconds(fast) in {in_seconds(slow) / 60, staging.discovery_s}, (slow, fast)


def in_seconds(text):
    sizes = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * sizes[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", text))


def test_what_reads_absence_outlasts_discovery(system, staging, lab):
    """Prometheus needs seconds to see new pods at any time scale: in the lab a rollout must not look like an outage."""
    true, quick = rules_of(system, staging)[1], rules_of(system, lab)[1]
    assert true["X0TTA6BL4DownRollback"]["for"] == "5m"
    for alert in ("X0TTA6BL4DownRollback", "X0TTA6BL4HealthCheckFailed", system.no_data.alert):
        assert quick[alert]["for"] == "7s"


def test_every_series_that_a_rule_stands_on_has_an_alert_for_its_absence(system, staging):
    """Silence pages: no series is left that could vanish unnoticed."""
    group, _ = rules_of(system, staging)
    guarded = {rule["labels"]["series"] for rule in group["rules"] if rule.get("alert") == system.no_data.alert}
    assert guarded == {series for slo in system.slo.values() for series in slo.series}
    for name, slo in system.slo.items():
        assert slo.series or slo.reads_absence, f"{name} names no series and does not read absence"
        assert all(series in slo.query for series in slo.series)


def test_the_operator_gets_the_same_groups(system, staging, rendered):
    """One truth in two wrappings."""
    crd = yaml.safe_load((rendered["staging"] / "prometheusrule/x0tta6bl4.yml").read_text())
    assert (crd["kind"], crd["metadata"]["name"]) == ("PrometheusRule", "x0tta6bl4-staging")
    assert crd["spec"] == yaml.safe_load((rendered["staging"] / "rules/x0tta6bl4.yml").read_text())
    assert crd == prometheus_rule(system, staging)


TEXT, TEXTS = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
DURATION = {
    "type": "string",
    "pattern": "^(0|" + "".join(f"([0-9]+{u})?" for u in ("y", "w", "d", "h", "m", "s", "ms")) + ")$",
}
RULE = {
    "type": "object",
    "required": ["expr"],
    "properties": {
        "alert": TEXT, "record": TEXT, "for": DURATION, "labels": TEXTS, "annotations": TEXTS,
        "expr": {"x-kubernetes-int-or-string": True},
    },
}  # fmt: skip
GROUP = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1}, "interval": DURATION, "limit": {"type": "integer"},
        "rules": {"type": "array", "items": RULE},
    },
}  # fmt: skip
GROUPS = {"type": "array", "items": GROUP, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
PROMETHEUS_RULE = {
    "type": "object",
    "required": ["spec"],
    "properties": {"spec": {"type": "object", "properties": {"groups": GROUPS}}},
}


@pytest.mark.parametrize("environment", ["staging", "lab"])
def test_a_kubernetes_api_takes_the_object(environment, request):
    """The fields, types and patterns of the operator's definition, judged as the lab's API judges custom resources."""
    body = prometheus_rule(request.getfixturevalue("system"), request.getfixturevalue(environment))
    assert refused(body) == []
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", body["metadata"]["name"])
    for rule in body["spec"]["groups"][0]["rules"]:
        assert ("alert" in rule) != ("record" in rule)
        assert "alert" in rule or not rule.keys() & {"for", "annotations"}
    for broken in ({"for": "5 minutes"}, {"labels": {"a": 1}}, {"owner": "x"}):
        changed = copy.deepcopy(body)
        changed["spec"]["groups"][0]["rules"][-1] |= broken
        assert len(refused(changed)) == 1


def refused(body):
    unknown, causes = [], Causes()
    own = {key: value for key, value in body.items() if key == "spec"}
    structural.validate(structural.prune(own, PROMETHEUS_RULE, unknown), PROMETHEUS_RULE, "", causes)
    return [*unknown, *causes.items]
