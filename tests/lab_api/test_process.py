"""The program: its files, its end, its next life."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lab.api import pki, snapshot
from lab.api.store import Store


def _mode(path):
    return path.stat().st_mode & 0o777


def test_secrets_are_private_and_made_once(tmp_path):
    """Keys, token and kubeconfig are 0600; a second call changes only the port."""
    pki.make(tmp_path, 1111)
    files = [tmp_path / name for name in ("token", "kubeconfig", "pki/ca.key", "pki/api.key")]
    assert [_mode(path) for path in files] == [0o600] * 4
    before = {path: path.read_bytes() for path in files if path.name != "kubeconfig"}
    pki.make(tmp_path, 2222)
    assert {path: path.read_bytes() for path in before} == before
    config = json.loads((tmp_path / "kubeconfig").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:2222"
    assert config["users"][0]["user"]["token"] == (tmp_path / "token").read_text().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_world_outlives_a_restart(tmp_path, run_api, number):
    """Objects and their versions come back; versions go on; a watch from before is expired; the end is quick."""
    with run_api(tmp_path) as server:
        made = server.http.post(
            "/api/v1/namespaces/default/configmaps", json={"metadata": {"name": "a"}, "data": {"k": "v"}}
        ).json()
        began = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - began < 10
    assert _mode(tmp_path / "api-store.json") == 0o600
    with run_api(tmp_path) as server:
        path = "/api/v1/namespaces/default/configmaps"
        assert server.http.get(f"{path}/a").json() == made
        version = made["metadata"]["resourceVersion"]
        assert int(server.http.get(path).json()["metadata"]["resourceVersion"]) > int(version)
        expired = server.http.get(path, params={"watch": "true", "resourceVersion": version, "timeoutSeconds": "5"})
        assert expired.json()["object"]["code"] == 410


def test_a_killed_server_has_written_before(tmp_path, run_api):
    """Changes are on disk a few seconds after they were made, without a goodbye."""
    with run_api(tmp_path) as server:
        path = "/api/v1/namespaces/default/configmaps"
        server.http.post(path, json={"metadata": {"name": "a"}}).raise_for_status()
        deadline = time.monotonic() + 30
        while '"name":"a"' not in _text(tmp_path / "api-store.json"):
            assert time.monotonic() < deadline, "no snapshot holds the object"
            time.sleep(0.05)
        server.stop(signal.SIGKILL)
    with run_api(tmp_path) as server:
        assert server.http.get(f"{path}/a").status_code == 200


def _text(path):
    return path.read_text() if path.exists() else ""


def test_open_watches_do_not_hold_up_the_end(tmp_path, run_api):
    """SIGTERM ends watches too."""
    with run_api(tmp_path) as server:
        params = {"watch": "true", "timeoutSeconds": "60"}
        with server.http.stream("GET", "/api/v1/namespaces", params=params) as answer:
            next(answer.iter_lines())
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 0
            assert time.monotonic() - began < 10  # the watch would last for a minute


def test_a_snapshot_is_the_store(tmp_path):
    """What is dumped is loaded again, with a gap that no version is given out twice."""
    store = Store()
    store.create("pods", "ns", {"metadata": {"name": "a", "namespace": "ns"}})
    (tmp_path / "s.json").write_bytes(snapshot.dump(store))
    loaded = snapshot.load(tmp_path / "s.json")
    assert loaded.get("pods", "ns", "a").body == store.get("pods", "ns", "a").body
    assert loaded.oldest("pods") == loaded.revision > store.revision


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "other", "revision": 1, "objects": {}}', "{"])
def test_a_snapshot_that_is_none_is_refused(tmp_path, content):
    """One sentence that names the file."""
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(ValueError, match=r"s\.json is not a snapshot of the API's store: "):
        snapshot.load(tmp_path / "s.json")


def test_a_taken_port_is_one_sentence(tmp_path, api_server):
    """Exit code 1 and the reason, no traceback."""
    argv = [sys.executable, "-m", "lab.api", "--state", str(tmp_path), "--port", str(api_server.port)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, env=dict(os.environ))
    assert done.returncode == 1
    assert f"cannot be served on port {api_server.port}" in done.stderr
    assert "Traceback" not in done.stderr
