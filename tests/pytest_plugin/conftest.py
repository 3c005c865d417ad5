"""A healthy snapshot of x0tta6bl4, made of plain JSON, and a way to run checks over it."""

import copy
import json
import os
import shutil
from pathlib import Path

import httpcore  # noqa: F401 - httpx loads it late: after a run in this process it would be another copy of itself
import pytest

from muster.judge.metric_types import functions
from muster.pytest_plugin.expected import render
from muster.read.alertmanager import _kinds, _route
from muster.rules.alertmanager import config
from muster.snapshot import SCHEMA
from muster.system import load_system
from muster.system.environment import Environment
from muster.system.model import LEVELS
from muster.system.selectors import selectors

CHECKOUT = Path(__file__).resolve().parents[2]
REPLICAS = ("a", "b", "c")
GOOD = {
    "error_ratio": 0.0, "latency_p95": 0.002, "throughput": 20.0, "memory": 5e7, "cpu": 0.02, "down": 0.0,
    "pqc_handshake_failures": 0.0, "pqc_fallback": 0.0, "pqc_handshake_latency": 0.002, "memory_growth": 1e6,
}  # fmt: skip


def each(make):
    return {replica: make(replica) for replica in REPLICAS}


def pod(name):
    container = {
        "name": "x0tta6bl4", "image": "i:1", "image_id": "i@sha256:aa", "ready": True, "restarts": 0, "waiting": "",
        "waiting_message": "", "last_exit": None, "running": True,
    }  # fmt: skip
    ask = {
        "name": "x0tta6bl4", "image": "i:1", "main": True, "init": False,
        "requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "3Gi"},
    }  # fmt: skip
    return {
        "name": name, "created": 1.0, "terminating": False, "template_hash": "h", "phase": "Running", "reason": "",
        "ip": "127.0.0.1", "node": "m" if name == "c" else "n", "conditions": {"Ready": "True"},
        "containers": [container], "asks": [ask],
    }  # fmt: skip


def health(name):
    dependencies = {name: {"status": "ok"} for name in ("mesh", "pqc", "control-plane")}
    return {"status_code": 200, "body": {"status": "ok", "version": "3.4.0", "dependencies": dependencies}}


def surroundings():
    """What the Kubernetes API says around the workload, and what its pods show from inside."""
    service = {"name": "s", "ports": [{"name": "http", "port": 80}], "ready": list(REPLICAS)}
    way = {
        "name": "i", "class": "nginx", "host": "", "path": "/", "service": "s", "port": "http",
        "addresses": ["1.2.3.4"],
    }  # fmt: skip
    budget = {"name": "b", "seen": True, "allowed": 1, "expected": 3, "healthy": 3, "needed": 2}
    scaler = {
        "name": "h", "least": 3, "most": 10, "current": 3, "desired": 3,
        "conditions": {"ScalingActive": ["True", "ValidMetricFound", ""]},
    }  # fmt: skip
    nodes = [
        {"name": name, "exists": True, "cordoned": False, "conditions": {"Ready": ["True", ""]}} for name in ("n", "m")
    ]
    log = {"lines": 0, "bytes": 0, "cut": False, "bursts": {}}
    for burst in load_system("x0tta6bl4", CHECKOUT).logs.bursts:
        log["bursts"][burst.name] = {"count": 0, "samples": []}
    certificate = {"file": "tls.crt", "subject": "CN=a", "from": 0.0, "until": 90 * 86400.0}
    folder = {"folder": "/c", "missing": "", "files": ["tls.crt"], "certificates": [certificate], "broken": []}
    return {
        "events": [],
        "nodes": {"total": 2, "nodes": nodes},
        "quotas": [],
        "autoscalers": [scaler],
        "budgets": [budget],
        "services": [service],
        "ingresses": [way],
        "canary": {
            "deployment": "next",
            "ingress": "next",
            "share": 0.1,
            "ways": [],
            "wanted": 1,
            "ready": 1,
            "ready_for_s": 60.0,
        },
        "canary_series": {"selector": "app=next", "series": {"requests_total": 3}, "scraped": 1, "settles_s": 12.5},
        "logs": {"window_s": 5.0, "running": 3, "replicas": each(lambda _: log)},
        "modules": {"a": {"modules": {"oqs": "", "liboqs": ""}, "algorithms": {"ML-KEM-768": ""}}},
        "certificates": each(lambda _: folder),
    }


def alerting():
    """Rules as rendered from the facts and as Prometheus holds them, and routes."""
    facts, pager = load_system("x0tta6bl4", CHECKOUT), {"kind": "webhook", "url": "http://pager"}
    here = Environment.model_validate(
        {
            "name": "lab", "description": "", "time_scale": 60, "responder": "http://r",
            "contacts": dict.fromkeys(facts.contacts, pager),
        }
    )  # fmt: skip
    expected, common = render(facts, here), {"group": "g", "health": "ok", "last_error": "", "state": "inactive"}
    rules = [{**rule, **common} for rule in expected]
    made = config(facts, here)
    receivers = {receiver["name"]: _kinds(receiver) for receiver in made["receivers"]}
    routes = {"route": _route(made["route"]), "receivers": receivers, "responder": True}
    return {"rules": rules, "expected_rules": expected, "routes": routes}


def needed_types(facts):
    """A type for each metric with which every query of the facts makes sense."""
    return {
        metric: "counter" if function in ("rate", "increase") else "gauge" for _, function, metric in functions(facts)
    }


def watched(rules):
    """What Prometheus, Alertmanager, Grafana, the wire and the replicas' own metrics say."""
    facts = load_system("x0tta6bl4", CHECKOUT)
    series = {name: 3 for slo in facts.slo.values() for name in slo.series}
    own = sorted(name for slo in facts.slo.values() if "{selector}" in slo.query for name in slo.series)
    bounds = {
        limit.bound
        for slo in facts.slo.values()
        for level in LEVELS
        if (limit := slo.limit(level)) and slo.unit == "seconds"
    }
    page = {"series": 9, "names": own, "greps": {}}
    for name in facts.metric_names:
        page["names"] = [*page["names"], name.metric]
        page["greps"][name.pattern] = [name.metric]
    return {
        "prometheus_ready": {"status_code": 200, "said": "ready"},
        "alertmanager_ready": {"status_code": 200, "said": "OK"},
        "responder": {"status_code": 200},
        "pagers": {"on-call": {"kind": "webhook", "host": "pager", "port": 80, "how": "tcp"}},
        "grafana_health": {"status_code": 200, "database": "ok", "version": "10"},
        "dashboards": {
            "expected": {fact.uid: {"title": fact.title, "panels": []} for fact in facts.dashboards}, "found": {},
        },
        "panels": [{"dashboard": "d", "panel": "p", "query": "up", "series": 1}],
        "series": series,
        "rule_series": {str(selector): 1 for rule in rules for selector in selectors(rule["query"])},
        "buckets": {name: [*sorted(bounds), 10.0] for name in series},
        "metric_types": {name: [kind] for name, kind in needed_types(facts).items()},
        "metrics": each(lambda _: page),
        "mesh_downgrade": each(lambda _: {"refused": True, "offered": ["x25519"], "said": "handshake failure"}),
    }  # fmt: skip


def healthy():
    deployment = {
        "name": "app", "namespace": "ns", "generation": 1, "observed_generation": 1, "revision": 2, "paused": False,
        "images": ["i:1"], "wanted": 3, "replicas": 3, "updated": 3, "ready": 3, "available": 3,
        "conditions": [{"type": "Progressing", "status": "True", "reason": "", "message": ""}],
        "labels": {"app": "a"}, "containers": {"x0tta6bl4": "i:1"}, "deadline_s": 600,
        "strategy": {"type": "RollingUpdate", "max_surge": "25%", "max_unavailable": "25%"},
    }  # fmt: skip
    peers = {name: [{"name": p, "alive": True, "last_seen_s": 0.1} for p in REPLICAS if p != name] for name in REPLICAS}
    return {
        "deployment": deployment,
        "replicasets": [
            {
                "name": f"r{number}",
                "revision": number,
                "template_hash": f"h{number}",
                "images": ["i:1"],
                "build": f"b{number}",
                "wanted": wanted,
                "ready": wanted,
                "created": 1.0,
            }
            for number, wanted in ((1, 0), (2, 3))
        ],
        "pods": [pod(name) for name in REPLICAS],
        "health": each(health),
        "ingress_health": health("a"),
        "pqc_status": each(
            lambda _: {"enabled": True, "algorithm": "ML-KEM-768", "group": "X25519MLKEM768", "fallback_enabled": False}
        ),
        "mesh_tls": each(
            lambda name: {
                "group": "X25519MLKEM768",
                "version": "TLSv1.3",
                "subject": f"CN={name}",
                "not_after": 90 * 86400.0,
            }
        ),
        "mesh_status": each(lambda _: {"status": "connected", "peers": 2, "expected": 2}),
        "mesh_peers": each(lambda name: {"self": name, "peers": peers[name]}),
        "targets": [
            {
                "job": "j",
                "instance": "i",
                "pod": name,
                "health": "up",
                "last_error": "",
                "last_scrape": "",
                "age_s": 0.2,
                "interval_s": 0.25,
            }
            for name in REPLICAS
        ],
        "alerts": [],
        "alertmanagers": ["http://alertmanager"],
        "silences": [],
        "notified": [],
        **surroundings(),
        **watched(alerting()["rules"]),
        **alerting(),
        **{
            name: {"value": value, "per_replica": each(lambda _, v=value: v), "window_s": 5.0, "gaps": []}
            for name, value in GOOD.items()
        },
    }


@pytest.fixture(scope="session")
def recorded():
    return healthy()


@pytest.fixture
def readings(recorded):
    """The healthy readings, to be broken by a test: name -> value."""
    return copy.deepcopy(recorded)


@pytest.fixture
def write_snapshot(pytester):
    """Write snapshot.json with these values; ``failures`` are readings that failed, with their sentence."""

    def write(readings, failures=(), kind="refused"):
        entries = {name: {"source": "s", "at": 1.0, "took_s": 0.0, "value": value} for name, value in readings.items()}
        for name in failures:
            failure = {"kind": kind, "message": f"{name} is not there"}
            entries[name] = {"source": "s", "at": 1.0, "took_s": 0.0, "failure": failure}
        body = {
            "schema": SCHEMA, "system": "x0tta6bl4", "environment": "lab", "time_scale": 60.0, "taken_at": 100.0,
            "took_s": 0.1, "readings": entries,
        }  # fmt: skip
        (pytester.path / "snapshot.json").write_text(json.dumps(body))

    return write


@pytest.fixture
def project(pytester):
    """A folder as a user has one: checks/, systems/, the runbook and an ini file, and nothing else."""
    shutil.copytree(CHECKOUT / "checks", pytester.path / "checks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "systems", pytester.path / "systems")
    shutil.copytree(CHECKOUT / "docs" / "runbooks", pytester.path / "docs" / "runbooks")
    (pytester.path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return pytester.path


@pytest.fixture
def checks(pytester, project, monkeypatch):
    """Run pytest over checks/; returns (exit code, summary or None, output).

    With Allure in a process of its own, because Allure's listeners are global; otherwise in this one, which is quicker.
    """
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LAB_STATE", str(project / "no-lab"))

    def run(*arguments, snapshot=True, allure=False):
        given = ["--snapshot", "snapshot.json"] if snapshot else []
        command = ["--disable-plugin-autoload", "-p", "muster.pytest_plugin", "checks", *given, "--run-dir", "out"]
        if allure:
            result = pytester.runpytest_subprocess("-p", "allure_pytest", *command, *arguments)
        else:
            result = pytester.runpytest_inprocess("-p", "no:terminalprogress", *command, *arguments)
        file = project / "out" / "summary.json"
        summary = json.loads(file.read_text()) if file.exists() else None
        return int(result.ret), summary, os.linesep.join([*result.outlines, *result.errlines])

    return run
