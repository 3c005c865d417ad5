"""``muster respond`` refuses what it cannot use: one sentence, the right exit code, nothing left running."""

import os
import socket
import subprocess
import sys

import pytest
import yaml


@pytest.fixture
def respond(system, tmp_path):
    """Runs the command in a folder whose environment ``here`` has a kubeconfig that leads nowhere."""
    user = {"name": "u", "user": {"token": "secret"}}
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    config = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "x"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **config}))
    facts = yaml.safe_load(system._file.read_text())
    kubernetes = {"kubeconfig": str(tmp_path / "kubeconfig"), "namespace": "shop", "deployment": "web"}
    kubernetes |= {"container": "web", "selector": "app=web", "port": 8080}
    facts["environments"] = {"here": {"description": "test", "kubernetes": kubernetes}, "bare": {"description": "none"}}
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "x0tta6bl4.yaml").write_text(yaml.safe_dump(facts))
    (tmp_path / "token").write_text("a-token-of-some-length\n")
    (tmp_path / "short").write_text("short\n")

    def _run(*words, file="token"):
        argv = [sys.executable, "-m", "muster", "respond", "--token-file", file, *words]
        environ = {**os.environ, "MUSTER_ENV": "here", "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30, check=False)

    return _run


@pytest.mark.parametrize(
    ("words", "file", "sentence"),
    [
        (["--listen", "0.0.0.0:0"], "token", "--allow-remote"),
        (["--listen", "nowhere"], "token", "is not an address and a port"),
        (["--listen", "example.org:80"], "token", "is not an IP address"),
        ([], "missing", "cannot be read"),
        ([], "short", "protects nothing"),
        (["--env", "bare"], "token", "declares no kubernetes"),
        (["--env", "nowhere"], "token", "no environment 'nowhere'"),
        (["--system", "nothing"], "token", "no system 'nothing'"),
    ],
)
def test_unusable_option_is_a_usage_error(respond, words, file, sentence):
    """Exit 4 and one line."""
    result = respond(*words, file=file)
    assert result.returncode == 4
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_taken_port_is_one_sentence(respond):
    """Exit 1: what was typed is right, the machine is not."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = respond("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert result.returncode == 1
    assert "cannot listen on 127.0.0.1" in result.stderr
    assert result.stderr.count("\n") == 1
