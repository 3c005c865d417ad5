"""The plan fixes every address, key and token before anything is started."""

import json
import os
import socket
import stat
import subprocess
import sys

import pytest

from lab import daemon
from lab.daemon.folder import Folder
from lab.daemon.planning import CONTACTS, PORTS, free_ports, is_free
from lab.errors import LabError


def test_a_plan_holds_every_address_as_text(tmp_path):
    """All values are strings, as whoever fills configuration templates expects, and plan.json holds the same."""
    plan = daemon.plan(tmp_path)
    assert json.loads((tmp_path / "plan.json").read_text()) == plan
    assert {"api", "ingress", "prometheus", "alertmanager", "sink", "responder", "kubeconfig"} <= plan.keys()
    assert all(isinstance(value, str) for value in plan.values())
    assert plan["time_scale"] == "60"


def test_secrets_are_private_files_and_never_in_the_plan(tmp_path):
    """The kubeconfig, tokens, keys, passwords and secret addresses have mode 0600; the plan names files only."""
    plan = daemon.plan(tmp_path)
    files = [tmp_path / "kubeconfig", tmp_path / "token", tmp_path / "responder-token", tmp_path / "pager-key"]
    files += [tmp_path / "slack-url", tmp_path / "smtp-password"]
    files += [tmp_path / "pager-keys" / contact for contact in CONTACTS]
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert file.read_text() not in json.dumps(plan), file
    assert len({file.read_text() for file in (tmp_path / "pager-keys").iterdir()}) == len(CONTACTS)


def test_two_labs_get_different_ports(tmp_path):
    """State folders do not meet, even when neither lab has bound anything yet."""
    first, second = free_ports(tmp_path / "one"), free_ports(tmp_path / "two")
    assert not set(first.values()) & set(second.values())


def test_a_port_in_use_is_passed_over(tmp_path):
    """A planned port is one that can be bound."""
    taken = free_ports(tmp_path)["prometheus"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        assert not is_free(taken)
        assert taken not in free_ports(tmp_path).values()
    assert list(free_ports(tmp_path)) == list(PORTS)


def test_planning_again_forgets_the_rules_of_the_earlier_lab(tmp_path):
    """Rules were rendered for other addresses; they must not be loaded by the next lab."""
    daemon.plan(tmp_path)
    (tmp_path / "config" / "rules").mkdir(parents=True)
    (tmp_path / "config" / "rules" / "old.yml").touch()
    daemon.plan(tmp_path)
    assert not (tmp_path / "config" / "rules" / "old.yml").exists()


def test_an_impossible_time_scale_is_refused(tmp_path):
    """One sentence, and nothing is made."""
    with pytest.raises(LabError, match="time scale of 0"):
        daemon.plan(tmp_path / "state", time_scale=0)
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path):
    """Its processes would be somebody else's, too."""
    os.chown(tmp_path, 12345, -1)
    for touch in (daemon.plan, daemon.down, lambda state: daemon.up(state, None)):
        with pytest.raises(LabError, match="belongs to another user"):
            touch(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    """A file in the way is named."""
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match=r"file/state cannot be made: Not a directory"):
        daemon.plan(tmp_path / "file" / "state")


@pytest.mark.parametrize("command", ["up", "down", "status", "run", "inbox", "kubeconfig"])
def test_a_folder_in_a_home_that_nobody_has_is_one_sentence(command):
    """By every command that takes a state folder, and nothing is begun there."""
    argv = [sys.executable, "-m", "muster", "lab", command, "--state", "~no-such-user/lab"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1, done.stderr
    assert "~no-such-user/lab lies in a home that this machine does not know" in done.stderr


def test_sockets_of_a_folder_with_a_long_path_lie_under_a_short_private_name(tmp_path):
    """A socket's address holds 108 bytes; a checkout may lie deeper than that."""
    folder = Folder.claim(tmp_path / ("x" * 100))
    try:
        assert len(bytes(folder.haproxy_socket)) <= 90
        assert folder.sockets.stat().st_mode & 0o077 == 0
    finally:
        folder.sockets.rmdir()


def test_a_name_for_sockets_that_somebody_else_holds_is_refused(tmp_path):
    """A link in /tmp could lead anywhere."""
    folder = Folder(tmp_path / ("y" * 100))
    folder.sockets.symlink_to(tmp_path)
    try:
        with pytest.raises(LabError, match="not a folder of this user"):
            Folder.claim(folder.root)
    finally:
        folder.sockets.unlink()


def test_the_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    """A second command waits, a bounded time, and then says what it waited for."""
    folder = Folder.claim(tmp_path)
    with folder.locked(1):
        with pytest.raises(LabError, match="another command has been changing the lab"), folder.locked(0.1):
            pass
        assert [*tmp_path.iterdir()] == []
    with folder.locked(1):
        pass
