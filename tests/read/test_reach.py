"""Who must be told is reached as far as a connection goes: nobody is paged by being looked at."""

import socket
import threading

import pytest

from muster.snapshot import FailureKind


@pytest.fixture
def listener():
    """A server that says ``greeting`` to whoever connects, and remembers what it heard: its port and that."""
    sockets, threads = [], []

    def start(greeting=b""):
        server, heard = socket.create_server(("127.0.0.1", 0)), []

        def answer():
            client, _ = server.accept()
            with client:
                client.sendall(greeting)
                client.settimeout(20)
                heard.append(client.recv(100))

        threads.append(threading.Thread(target=answer, daemon=True))
        threads[-1].start()
        sockets.append(server)
        return server.getsockname()[1], heard, threads[-1]

    yield start
    for thread in threads:
        thread.join(20)
    for server in sockets:
        server.close()


def pagers(read, environment, **channels):
    return read(environment(contacts=channels), "pagers").value


def test_a_pager_is_reached_by_a_connection_and_hears_nothing(read, environment, listener):
    """Not even a request."""
    port, heard, thread = listener()
    channel = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/page"}
    assert pagers(read, environment, first=channel)["first"] == {
        "kind": "webhook", "host": "127.0.0.1", "port": port, "how": "tcp",
    }  # fmt: skip
    thread.join(20)
    assert heard == [b""]


def test_contacts_behind_one_server_are_reached_at_once(read, environment, listener):
    """It accepts one connection here, and both contacts were reached."""
    port, _, _ = listener()
    channel = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/page"}
    assert {entry["how"] for entry in pagers(read, environment, first=channel, second=channel).values()} == {"tcp"}


def test_a_mail_server_must_greet(read, environment, listener):
    """220 and goodbye; another greeting is no mail server."""
    port, heard, thread = listener(b"220 mail ESMTP\r\n")
    channel = {"kind": "email", "url": f"smtp://127.0.0.1:{port}", "to": "a@b"}
    assert pagers(read, environment, first=channel)["first"]["how"] == "smtp"
    thread.join(20)
    assert heard == [b"QUIT\r\n"]
    port, _, _ = listener(b"HTTP/1.1 400 Bad Request\r\n")
    failed = pagers(read, environment, first={**channel, "url": f"smtp://127.0.0.1:{port}"})["first"]["failure"]
    assert failed["kind"] == "unparseable"


def test_a_pager_that_is_gone_or_hangs_is_its_contacts_failure(read, environment, listener, free_port):
    """The other contacts are known all the same, and the sentence names address or contact."""
    port, _, _ = listener()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = {
            "good": f"http://127.0.0.1:{port}",
            "gone": f"http://127.0.0.1:{free_port}",
            "plain": f"https://127.0.0.1:{silent.getsockname()[1]}",
            "odd": "http://127.0.0.1:port",
        }
        here = environment(contacts={name: {"kind": "webhook", "url": url} for name, url in urls.items()})
        found = read(here, "pagers", deadline_s=5.0).value  # the silent one takes them all
    assert found["good"]["how"] == "tcp"
    assert found["gone"]["failure"] == {"kind": "refused", "message": f"127.0.0.1:{free_port} refuses connections"}
    assert found["plain"]["failure"]["kind"] == "timeout"
    assert found["plain"]["failure"]["message"].startswith("the pager of plain did not answer")
    assert "no address to connect to" in found["odd"]["failure"]["message"]


def test_slacks_address_is_a_secret_and_only_its_host_is_kept(read, environment, listener, tmp_path):
    """It stands in a file; one that cannot be read is told by its name."""
    port, _, _ = listener()
    (tmp_path / "url").write_text(f"http://127.0.0.1:{port}/services/T0/B0/sesame")
    channel = {"kind": "slack", "to": "#alerts", "secret_file": str(tmp_path / "url")}
    reading = read(environment(contacts={"first": channel}), "pagers")
    assert reading.value["first"]["port"] == port
    assert "sesame" not in str(reading)
    gone = {**channel, "secret_file": str(tmp_path / "nowhere")}
    failed = pagers(read, environment, first=gone)["first"]["failure"]
    assert "nowhere, which holds the address of #alerts, cannot be read" in failed["message"]


def test_the_responder_is_asked_whether_it_is_well(read, environment, serve, free_port):
    """Its own page; nothing listening is refused."""
    assert read(environment(responder=serve({"/healthz": (200, b"ok\n")}).url), "responder").value == {
        "status_code": 200
    }
    found = read(environment(responder=f"http://127.0.0.1:{free_port}"), "responder").failure
    assert found.kind is FailureKind.REFUSED
