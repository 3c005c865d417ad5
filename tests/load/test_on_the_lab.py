"""The command against the whole lab: boots nothing here, sends the mix, leaves every output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from muster.judge import generator
from muster.kube import Kube, load_access

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
CHECKOUT = Path(__file__).parents[2]


def smoke(lab, folder):
    """What the command left, how it ended, and what it recorded."""
    done = subprocess.run(
        [sys.executable, "-m", "muster", "load", "smoke", "--rate", "200", "--duration", "5s", "--run-dir", folder],
        cwd=CHECKOUT,
        env={**os.environ, "LAB_ENDPOINTS": str(Path(lab["state"]) / "endpoints.json"), "LAB_STATE": lab["state"]},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done, json.loads((folder / "load.json").read_text())


def test_smoke_is_served_by_the_lab_and_every_output_is_left(lab, tmp_path):
    """10 s shortened to 5: every request of the mix is answered as expected, and exit code and outputs agree.

    PASS on a quiet machine; where the tests beside it keep its cores busy it is UNKNOWN, and says that it is its own.
    """
    for folder in (tmp_path / "first", tmp_path / "second", tmp_path / "third"):
        done, body = smoke(lab, folder)
        if not body["errors"] or not all(kind.startswith(generator.DOUBTFUL) for kind in body["errors_by_kind"]):
            break  # all others may be those of a machine that stood still
    summary = json.loads((folder / "summary.json").read_text())
    assert body["verdict"] == summary["verdict"]
    assert done.returncode == {"PASS": 0, "WARN": 0, "FAIL": 1, "UNKNOWN": 6}[body["verdict"]], done.stdout
    assert body["errors"] == 0, body["errors_by_kind"]
    assert sum(second["requests"] for second in body["seconds"]) == sum(s["sent"] for s in body["seconds"])
    asked = {name: endpoint["requests"] for name, endpoint in body["endpoints"].items()}
    assert set(asked) == {"GET /api/v1/ping", "GET /api/v1/route", "POST /api/v1/messages"}
    assert asked["GET /api/v1/ping"] > asked["GET /api/v1/route"] > asked["POST /api/v1/messages"] > 0
    verdicts = {finding["check"]: finding["verdict"] for finding in body["findings"]}
    assert verdicts["load.errors"] == "PASS"
    if body["verdict"] != "PASS":
        assert verdicts["load.generator"] == "UNKNOWN" or verdicts["load.latency"] == "FAIL"


def test_the_manifests_for_several_machines_are_taken_by_the_api(lab):
    """Service and Deployment of deploy/load pass the API's validation in a dry run."""
    import yaml

    objects = list(yaml.safe_load_all((CHECKOUT / "deploy" / "load" / "load.yaml").read_text(encoding="utf-8")))
    known = {"Service": "/api/v1", "Deployment": "/apis/apps/v1"}
    plural = {"Service": "services", "Deployment": "deployments"}
    by_kind = {found["kind"]: found for found in objects}
    with Kube(load_access(lab["kubeconfig"], "lab")) as kube:
        for kind, base in known.items():
            body = by_kind[kind]
            path = f"{base}/namespaces/x0tta6bl4-staging/{plural[kind]}"
            body["metadata"]["namespace"] = "x0tta6bl4-staging"
            assert kube.post(path, body, dryRun="All")["metadata"]["name"] == body["metadata"]["name"]
    job, workers = by_kind["Job"]["spec"]["template"]["spec"], by_kind["Deployment"]["spec"]
    assert f"--workers={workers['replicas']}" in job["containers"][0]["args"]
    ports = by_kind["Service"]["spec"]["ports"][0]["port"]
    assert f"--listen=0.0.0.0:{ports}" in job["containers"][0]["args"]
