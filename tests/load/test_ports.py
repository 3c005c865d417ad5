"""Ports for servers that are started a moment later."""

import socket
from pathlib import Path

import pytest

from muster.load import ports
from muster.load.ports import free_port


def test_no_connection_takes_it_before_the_server_does():
    """It lies below the range from which the kernel serves connections, and can be bound."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    port = free_port()
    assert 1024 < port < lowest
    socket.create_server(("127.0.0.1", port)).close()


def test_each_call_gives_another_one_and_none_that_is_taken():
    """Two servers that are planned before either begins do not meet."""
    first = free_port()
    with socket.create_server(("127.0.0.1", first + 1 if first + 1 < ports.LAST else ports.FIRST)):
        others = {free_port() for _ in range(20)}
    assert len(others) == 20
    assert first not in others
    assert first + 1 not in others


@pytest.mark.parametrize("told", [None, "", "words", "1024 65000"])
def test_a_machine_that_does_not_say_its_range_has_the_usual_one(monkeypatch, tmp_path, told):
    """And one that gives connections nearly every port leaves no better choice."""
    file = tmp_path / "range"
    if told is not None:
        file.write_text(told)
    monkeypatch.setattr(ports, "_EPHEMERAL", file)
    assert ports.FIRST <= free_port() < ports.LAST


def test_where_none_is_free_it_says_so(monkeypatch):
    """An address that nobody here can bind has no free port."""
    monkeypatch.setattr(ports, "FIRST", ports.LAST - 10)
    with pytest.raises(OSError, match=r"no port of 192\.0\.2\.1"):
        free_port("192.0.2.1")
