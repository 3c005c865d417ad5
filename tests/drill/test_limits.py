"""Limits hold in every environment: over what is physically possible at scale 1, and as strict as ever in the lab.

What is physical is counted here anew, from the facts, and not by what the drill itself counts with.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from lab.daemon.prometheus import discovery_s
from muster.chaos import plan, run
from muster.chaos.actions import releases
from muster.chaos.context import Place
from muster.chaos.over import awaited_s, over_s
from muster.judge.objectives import parse_objectives
from muster.system import load_environment, load_system

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
SYSTEM = load_system("x0tta6bl4")
STAGING = load_environment(SYSTEM, "staging")
LAB = STAGING.model_copy(update={"time_scale": 60.0, "discovery_s": discovery_s(60), "rollout_s": 5.0})
LIMITS = ("detect_within", "page_within", "finds_within", "traffic_off_within", "rollback_within", "recovered_within")
LAXER = 1.05  # the most that a limit in the lab may be over what it was before it counted over anything
# In the lab, in seconds, while limits were plain seconds there: where an experiment had another than the usual one.
USUALLY = {"detect_within": 40.0, "page_within": 5.0, "traffic_off_within": 10.0, "rollback_within": 20.0}
ONCE = {
    "hanging-release": {"rollback_within": 30.0, "recovered_within": 40.0},
    "pod-kill-all": {"recovered_within": 40.0},
    "prometheus-down": {"recovered_within": 40.0},
    "memory-pressure": {"recovered_within": 90.0},
    "wrong-image": {"finds_within": 20.0},
    "mesh-partition": {"finds_within": 20.0, "recovered_within": 20.0},
    "never-ready-release": {"finds_within": 30.0},
    "crash-looping-release": {"finds_within": 40.0},  # none was given
    "service-down": {"finds_within": 20.0},  # the same
    **{name: {"recovered_within": 20.0} for name in ("cpu-burn", "ingress-backend-lost")},
    **{name: {"recovered_within": 20.0} for name in ("network-latency", "network-latency-one")},
}


@cache
def promised(file):
    (extension,) = [entry for entry in run.load(file)["extensions"] if entry["name"] == "muster"]
    return parse_objectives(extension, where=file.name, system=SYSTEM)


def effective(file, env):
    """Limit -> seconds of real time that it comes to here."""
    objectives = promised(file)
    over = over_s(objectives, SYSTEM, env)
    found = {name: getattr(objectives, f"{name}_s") for name in LIMITS}
    return {name: limit + over.get(name, 0.0) for name, limit in found.items() if limit is not None}


def once(file, name):
    usual = USUALLY | {"finds_within": 15.0, "recovered_within": 30.0}
    return ONCE.get(file.stem, {}).get(name, usual[name])


def window_of(slo):
    return STAGING.scaled(SYSTEM.slo[slo].window)


def least(file):
    """What each limit must be over in staging: seconds that pass though everything goes as well as it can."""
    objectives = promised(file)
    seen = STAGING.discovery_s + 2 * STAGING.scrape_interval_s  # new pods have a rate
    drained = max(window_of("error_ratio"), window_of(SYSTEM.alerts[objectives.alert].slo) if objectives.alert else 0.0)
    warns = objectives.alert and SYSTEM.alerts[objectives.alert].level == "warning"
    return {
        "detect_within": {"crash-looping-release": 150.0, "leaking-release": 2.3e9 / 3.7e6}.get(file.stem, 0.0),
        "page_within": STAGING.group_wait_s if warns else 0.0,
        "finds_within": seen if objectives.finds else 0.0,
        "traffic_off_within": 5.0,  # an ingress controller writes its configuration anew
        "rollback_within": STAGING.rollback.timeout_s,
        "recovered_within": STAGING.rollback.timeout_s + seen + drained,
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_limit_is_above_what_is_physical_at_scale_1_and_as_strict_as_ever_in_the_lab(file):
    """So that a sound staging passes, and the lab finds what it found before."""
    there, here, physical = effective(file, STAGING), effective(file, LAB), least(file)
    told = {name: f"staging {there[name]:g} s (least {physical[name]:g}), lab {here[name]:g} s" for name in there}
    assert [name for name in there if there[name] <= physical[name]] == [], told
    assert [name for name in here if here[name] > LAXER * once(file, name)] == [], told


@pytest.mark.parametrize("env", [STAGING, LAB], ids=["staging", "lab"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_probe_gives_up_before_what_it_waits_for_can_have_come(file, env):
    """An alert is awaited for all its windows, and by the name of the alert that is awaited."""
    for step in run.load(file)["method"]:
        arguments = step["provider"].get("arguments", {})
        if step["provider"]["func"] != "happened" or arguments["event"] != "alert.firing":
            continue
        assert arguments["window_of"] == arguments["alert"] == promised(file).alert
        assert awaited_s(SYSTEM, env, arguments["alert"]) >= env.scaled(SYSTEM.duration_of(arguments["alert"]))


@pytest.mark.parametrize("env", [STAGING, LAB], ids=["staging", "lab"])
def test_a_leak_leaves_its_alert_the_time_to_fire_before_the_kill(env):
    """From 2.4 GB to the limit of 3 GiB, at any scale: for, a scrape and two evaluations."""
    order = order_of("leaking-release", env)
    rate = float(order.how["env_vars"]["FAULT_MEMORY_LEAK_MB_S"]) * 1e6
    limit = SYSTEM.limit_of("X0TTA6BL4MemoryExhaustion").bound
    alert_s = env.scaled(SYSTEM.duration_of("X0TTA6BL4MemoryExhaustion") + 15 + 2 * 15)
    assert (3 * 2**30 - limit) / rate > alert_s
    assert limit / rate < env.scaled(promised(FILES[0].with_name("leaking-release.yaml")).takes_s) * 1.02


@pytest.mark.parametrize(("env", "serves_s"), [(STAGING, "120"), (LAB, "5")], ids=["staging", "lab"])
def test_a_release_that_hangs_serves_until_all_replicas_run_it(env, serves_s):
    """Sooner, and it would stall behind the old ones."""
    assert order_of("hanging-release", env).how["env_vars"] == {"FAULT_HANG_AFTER_S": serves_s}


def order_of(name, env):
    (step,) = [
        one for one in run.load(FILES[0].with_name(f"{name}.yaml"))["method"] if one["name"].startswith("release")
    ]
    return releases.order_release(env, **step["provider"]["arguments"])


@pytest.mark.parametrize("paced", [{"A": "3.7"}, {"A": "soon"}, {"A": "5m"}])
def test_a_number_that_follows_nothing_is_refused(paced):
    """One sentence that says what was expected, before anything is released."""
    with pytest.raises(ValueError, match="per_second"):
        releases.order_release(LAB, paced=paced)


def test_a_plan_says_what_limits_come_to_in_its_environment():
    """Beside the file's own word, so that nobody takes a limit over a rollout for plain seconds."""
    said = plan._expected(Place(SYSTEM, STAGING), promised(FILES[0].with_name("bad-release.yaml")))
    assert "recovered_within: 15s (3m57s here)" in said
    assert "page_within: 5s" in said  # a trigger waits for no group
