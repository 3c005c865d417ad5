"""deploy/load: its objects are what Kubernetes takes, its commands are what runs, here with everything on loopback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from muster.load.run import free_port

CHECKOUT = Path(__file__).parents[2]
MANIFESTS = CHECKOUT / "deploy" / "load" / "load.yaml"


@pytest.fixture(scope="module")
def objects():
    return list(yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8")))


def container(objects, kind):
    (found,) = (found for found in objects if found["kind"] == kind)
    (only,) = found["spec"]["template"]["spec"]["containers"]
    return only


def mistakes(body, type_, where):
    """What Kubernetes' own types (the official client's, made of its OpenAPI) would not take, with its place."""
    from kubernetes import client

    many = re.fullmatch(r"(?:list|List)\[(.+)\]", type_)
    named = re.fullmatch(r"(?:dict|Dict)[\[(]str, (.+)[\])]", type_)
    if many:
        if not isinstance(body, list):
            return [f"{where} is no list"]
        return [fault for at, item in enumerate(body) for fault in mistakes(item, many[1], f"{where}[{at}]")]
    if named:
        if not isinstance(body, dict):
            return [f"{where} is no map"]
        return [fault for key, item in body.items() for fault in mistakes(item, named[1], f"{where}.{key}")]
    if type_ in ("str", "int", "bool", "object"):
        right = {"str": str, "int": int, "bool": bool, "object": object}[type_]
        return [] if isinstance(body, right) and (type_ == "bool") >= isinstance(body, bool) else [f"{where}: {body!r}"]
    kind = getattr(client, type_)
    if not isinstance(body, dict):
        return [f"{where} is no {type_}"]
    known = {written: name for name, written in kind.attribute_map.items()}
    found = [f"{where} has no {key!r}" for key in body if key not in known]
    try:
        kind(**{known[key]: value for key, value in body.items() if key in known})
    except ValueError as error:  # a required one is missing, or none of those that there may be
        found.append(f"{where}: {error}")
    for key, value in body.items():
        if key in known:
            found += mistakes(value, kind.openapi_types[known[key]], f"{where}.{key}")
    return found


TYPES = {"Service": "V1Service", "PersistentVolumeClaim": "V1PersistentVolumeClaim", "Job": "V1Job"}
TYPES |= {"Deployment": "V1Deployment"}
VERSIONS = {"Service": "v1", "PersistentVolumeClaim": "v1", "Job": "batch/v1", "Deployment": "apps/v1"}


def test_every_object_is_one_that_kubernetes_takes(objects):
    """No unknown field, no missing one, no other type, each under its API's name."""
    assert {found["kind"]: found["apiVersion"] for found in objects} == VERSIONS
    assert [fault for found in objects for fault in mistakes(found, TYPES[found["kind"]], found["kind"])] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda job: job["spec"].update(backofLimit=0), "Job.spec has no 'backofLimit'"),
        (lambda job: job["spec"].pop("template"), "spec.template\n  Field required"),
        (lambda job: job["spec"].update(backoffLimit="0"), "Job.spec.backoffLimit: '0'"),
        (
            lambda job: job["spec"]["template"]["spec"]["containers"][0].pop("name"),
            "containers.0.name\n  Field required",
        ),
    ],
)
def test_a_mistake_in_an_object_is_found(objects, change, words):
    """What the test above would not let pass."""
    job = json.loads(json.dumps(next(found for found in objects if found["kind"] == "Job")))
    change(job)
    assert any(words in fault for fault in mistakes(job, "V1Job", "Job")), mistakes(job, "V1Job", "Job")


def test_what_the_objects_say_of_each_other_agrees(objects):
    """As many workers as the master waits for, at the port and under the name where it listens, with its folders."""
    by_kind = {found["kind"]: found for found in objects}
    master, worker = container(objects, "Job"), container(objects, "Deployment")
    (port,) = by_kind["Service"]["spec"]["ports"]
    assert f"--workers={by_kind['Deployment']['spec']['replicas']}" in master["args"]
    assert f"--listen=0.0.0.0:{port['port']}" in master["args"]
    assert f"--master-host={by_kind['Service']['metadata']['name']}" in worker["command"]
    assert f"--master-port={port['port']}" in worker["command"]
    labels = by_kind["Job"]["spec"]["template"]["metadata"]["labels"]
    assert by_kind["Service"]["spec"]["selector"].items() <= labels.items()
    workers = by_kind["Deployment"]["spec"]
    assert workers["selector"]["matchLabels"].items() <= workers["template"]["metadata"]["labels"].items()
    claims = [
        volume["persistentVolumeClaim"]["claimName"] for volume in by_kind["Job"]["spec"]["template"]["spec"]["volumes"]
    ]
    assert claims == [by_kind["PersistentVolumeClaim"]["metadata"]["name"]]
    assert {found["metadata"]["namespace"] for found in objects} == {"muster-load"}
    (mount,) = master["volumeMounts"]
    assert mount["mountPath"] == f"{master['workingDir']}/reports"
    locustfile = next(word for word in worker["command"] if word.startswith("--locustfile=")).partition("=")[2]
    assert (CHECKOUT / locustfile).is_file()
    assert worker["image"] == master["image"]


def instead(words, **values):
    """The same command with other values of flags that it has."""
    for name, value in values.items():
        flag = f"--{name.replace('_', '-')}="
        assert sum(word.startswith(flag) for word in words) == 1, f"{flag} in {words}"
        words = [f"{flag}{value}" if word.startswith(flag) else word for word in words]
    return words


def run_of(objects, muster, url, tmp_path):
    """One run: the command, what it said, load.json, and how the workers ended with what they said."""
    port = free_port()
    master, worker = container(objects, "Job"), container(objects, "Deployment")
    program, subcommand, profile = master["command"]
    assert (program, subcommand, profile) == ("muster", "load", "target")
    arguments = instead(master["args"], workers=2, listen=f"127.0.0.1:{port}", env="web")
    command = muster(url, profile, *arguments, "--rate=100", "--duration=4s")
    program, *arguments = instead(worker["command"], master_host="127.0.0.1", master_port=port)
    assert program == "locust"
    argv = [sys.executable, "-m", program, *arguments]
    log = (tmp_path / "workers.log").open("wb")
    workers = [subprocess.Popen(argv, cwd=CHECKOUT, stdout=log, stderr=log) for _ in range(2)]
    try:
        output, _ = command.communicate(timeout=120)
        ended = [process.wait(60) for process in workers]
    finally:
        log.close()
        for process in workers:
            if process.poll() is None:
                process.kill()
                process.wait()
    told = (tmp_path / "workers.log").read_text(encoding="utf-8")
    (run,) = [path for path in (tmp_path / "reports").iterdir() if not path.is_symlink()]
    return command, output, json.loads((run / "load.json").read_text(encoding="utf-8")), ended, told


def test_its_commands_are_one_master_and_its_workers(objects, muster, page, tmp_path):
    """As the manifests start them, but for addresses and a shorter profile: both workers send, all of it is counted."""
    url, _ = page()
    for _ in range(3):
        command, output, body, ended, told = run_of(objects, muster, url, tmp_path)
        if not any(second["dropped"] for second in body["seconds"]):
            break
        shutil.rmtree(tmp_path / "reports")  # the machine stood still for longer than a request is kept
    assert command.returncode == {"PASS": 0, "WARN": 0, "FAIL": 1, "UNKNOWN": 6}[body["verdict"]], output
    assert (body["workers"], body["partial"], ended) == (2, "", [0, 0]), told
    assert {second["reports"] for second in body["seconds"] if (second["second"] or 0) > 0} == {2}, output
    offered = sum(second["offered"] for second in body["seconds"])
    assert offered == sum(second["requests"] for second in body["seconds"])
    assert 360 < offered <= 400, "half of the target's rate, then all of it"
    assert body["errors"] == 0, body["errors_by_kind"]
