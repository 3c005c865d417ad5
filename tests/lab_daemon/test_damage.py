"""An endpoints file that is damaged while its lab runs: one sentence that says what to do; ``up`` puts it right."""

import json
import os
import subprocess
import sys

import pytest

from lab import daemon
from lab.daemon import records

DAMAGED = ["", "{", "[]", "{}", '{"schema": "lab/endpoints/v1"}', '{"api": null}']


@pytest.fixture
def damaged(folder, python):
    """A planned folder whose daemon is alive; returns a function that writes its endpoints file."""
    plan = daemon.plan(folder.root)
    child = python("print('ready', flush=True); import time; time.sleep(60)")
    records.write(folder.records, "daemon", child.pid, ["daemon"])

    def write(content):
        folder.endpoints.write_text(json.dumps(plan) if content is None else content)
        return f"{folder.endpoints} is damaged: run `muster lab down` and `muster lab up`"

    return write


@pytest.mark.parametrize("content", DAMAGED)
def test_whoever_needs_the_endpoints_is_told_what_to_do(damaged, folder, content):
    """The lab was neither taken down by somebody, nor is it another one that has no such address."""
    sentence = damaged(content)
    for use in (daemon.status, lambda state: daemon.stop(state, "sink"), lambda state: daemon.start(state, "sink")):
        with pytest.raises(daemon.DamagedError) as caught:
            use(folder.root)
        assert str(caught.value) == sentence
    with pytest.raises(daemon.DamagedError), daemon.running(folder.root, lambda: pytest.fail("a lab was running")):
        pytest.fail("there are no addresses")
    assert not daemon.is_up(folder.root)


def test_endpoints_as_they_were_planned_are_not_damaged(damaged, folder):
    """They are used as they are."""
    damaged(None)
    assert daemon.is_up(folder.root)
    with daemon.running(folder.root, lambda: pytest.fail("a lab was running")) as endpoints:
        assert endpoints["sink"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("content", DAMAGED)
def test_without_a_lab_a_damaged_file_is_a_leftover(folder, content):
    """No daemon, no lab: one is brought up as if the file were not there."""
    folder.endpoints.write_text(content)
    assert not daemon.is_up(folder.root)
    assert not daemon.status(folder.root).running
    with daemon.running(folder.root, lambda: {"api": "begun"}) as endpoints:
        assert endpoints == {"api": "begun"}


@pytest.mark.parametrize("words", [("smoke",), ("lab", "status"), ("lab", "kubeconfig"), ("lab", "stop", "sink")])
def test_on_the_command_line_it_is_usage_not_a_failure(damaged, folder, words):
    """Exit code 4 and the sentence: nothing was judged, so nothing failed."""
    sentence = damaged("{")
    environment = {**os.environ, "LAB_STATE": str(folder.root)}
    command = [sys.executable, "-m", "muster", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (4, f"muster: {sentence}\n")
