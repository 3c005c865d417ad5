"""An outage by command whose drill was killed before it was in the world: healing waits for what it has begun."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from muster.faults import Ledger, command, outage
from muster.faults.command import CommandError
from muster.system import Environment
from muster.wait import TimedOut, wait_until

SERVER = "https://127.0.0.1:1"
DRILL = """
import json, sys
from types import SimpleNamespace
from muster.faults import Ledger, inject
from muster.system import Environment
env = Environment.model_validate(json.loads(sys.argv[1]))
inject("outage", Ledger(), SimpleNamespace(server=env.kubernetes.server), env, system="s", component="responder")
"""


@pytest.fixture
def down(tmp_path):
    """While this file is there, the responder does not answer."""
    return tmp_path / "down"


@pytest.fixture
def facts(tmp_path, down, monkeypatch):
    """A responder that is taken away by a command which is slow to begin; the folder of state is the test's own."""
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path / "state"))
    config = tmp_path / "kubeconfig"
    config.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],"
        f" clusters: [{{name: k, cluster: {{server: '{SERVER}'}}}}], users: [{{name: u, user: {{token: t}}}}]}}"
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503 if down.exists() else 200)
            if (tmp_path / "last").exists():  # this answer was the last good one
                down.touch()
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    where = {"kubeconfig": str(config), "server": SERVER, "namespace": "shop", "deployment": "web", "container": "web"}
    waits = f"n=0; until test -e {tmp_path}/go || test $n -gt 600; do sleep 0.05; n=$((n+1)); done"
    stop = ["sh", "-c", f"touch {tmp_path}/begun; {waits}; touch {down}; touch {tmp_path}/ended"]
    yield {
        "name": "live",
        "description": "",
        "responder": f"http://127.0.0.1:{server.server_port}",
        "kubernetes": {**where, "selector": "app=web", "port": 80},
        "guard": {"namespaces": ["shop"]},
        "outages": {"responder": {"stop": stop, "start": ["rm", "-f", str(down)]}},
    }
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def env(facts):
    return Environment.model_validate(facts)


def test_the_command_that_a_killed_drill_has_begun_is_waited_for(tmp_path, facts, env, down):
    """It answers still when healing begins, and is gone a moment later: only then can it be brought back for good."""
    drill = subprocess.Popen([sys.executable, "-c", DRILL, json.dumps(facts)])
    wait_until((tmp_path / "begun").exists, bool, what="the command did not begin", timeout_s=30)
    drill.send_signal(signal.SIGKILL)
    drill.wait(10)
    ledger = Ledger()
    (entry,) = ledger.left()
    try:
        assert entry.state == "opening"
        assert not down.exists()
        later = threading.Timer(1.0, (tmp_path / "go").touch)
        later.start()
        assert outage.heal(None, env, entry) == "responder answers again"
        later.join()
        assert (tmp_path / "ended").exists()
        assert not down.exists()
    finally:
        ledger.healed(entry)  # its watchdog has nothing more to do


def test_one_good_answer_is_not_believed_where_nobody_knows_whether_it_was_told_to_go(tmp_path, env, down, monkeypatch):
    """What was told may come late: it must answer for some seconds. Once it is known to be taken away, one does."""
    undo = {"component": "responder", "start": ["true"], "path": "", "replicas": 0, "seen_by": ""}
    given = {"system": "s", "environment": "live", "server": SERVER, "namespace": "shop", "target": "responder"}
    ledger = Ledger(tmp_path)
    entry = ledger.open("outage", **given, undo=undo)
    monkeypatch.setattr(outage, "STAYS_S", 1.0)
    assert outage.heal(None, env, entry) == "responder answers again"
    monkeypatch.setattr(outage, "BACK_WITHIN_S", 2.0)
    (tmp_path / "last").touch()
    with pytest.raises(TimedOut, match="responder was not ready again"):
        outage.heal(None, env, entry)
    (tmp_path / "last").unlink()
    down.unlink()
    monkeypatch.setattr(outage, "STAYS_S", 60.0)
    assert outage.heal(None, env, ledger.injected(entry)) == "responder answers again"


def test_a_command_that_never_ends_leaves_the_record_open_and_is_named(tmp_path, monkeypatch):
    """No second one is begun beside it, either; what inherited the lock holds it though its parent is gone."""
    file = tmp_path / "state" / "outage.lock"
    command.await_end(file)  # none was ever begun
    command.run(["sh", "-c", f"sleep 60 >/dev/null 2>&1 & echo $! > {tmp_path}/pid"], seen_by=file)
    pid = int((tmp_path / "pid").read_text())
    try:
        monkeypatch.setattr(command, "LIMIT_S", 0.3)
        with pytest.raises(TimedOut, match=rf"a command that a drill had begun did not end .*fuser {file} names it"):
            command.await_end(file)
        with pytest.raises(CommandError, match="true was not run: one that was begun before still runs"):
            command.run(["true"], seen_by=file)
    finally:
        os.kill(pid, signal.SIGKILL)
    monkeypatch.setattr(command, "LIMIT_S", 10.0)
    command.await_end(file)


def test_where_the_lock_cannot_be_written_nothing_is_taken_away(tmp_path):
    """One sentence: an outage that nobody could wait for must not begin."""
    Path(tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"was not run: .* cannot be written"):
        command.run(["touch", str(tmp_path / "gone")], seen_by=tmp_path / "file" / "lock")
    assert not (tmp_path / "gone").exists()
