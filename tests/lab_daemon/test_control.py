"""The control channel answers every request with one line, whatever the request."""

import asyncio
import json
import stat

import pytest

from lab.daemon import control
from lab.errors import LabError


async def handle(body):
    if body["do"] == "refuse":
        raise LabError("not today")
    return {"echo": body}


@pytest.fixture
def ask(folder):
    """Ask a served channel in a thread, as another process would."""

    def play(*questions):
        async def whole():
            server = await control.serve(folder.control_socket, handle)
            async with server:
                assert stat.S_IMODE(folder.control_socket.stat().st_mode) == 0o600
                return [await asyncio.to_thread(question, folder.control_socket) for question in questions]

        return asyncio.run(whole())

    return play


def raw(line):
    """A question that sends these very bytes."""

    def question(path):
        import socket

        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(5)
            channel.connect(str(path))
            channel.sendall(line)
            return json.loads(channel.makefile("rb").readline())

    return question


def test_a_request_is_answered(ask):
    """One object there, one back."""
    [answer] = ask(lambda path: control.request(path, 5, do="echo", component="api"))
    assert answer["echo"] == {"do": "echo", "component": "api"}


def test_a_refusal_is_raised_as_the_daemons_own_sentence(ask):
    """LabError crosses the channel word for word."""
    with pytest.raises(LabError, match=r"^not today$"):
        ask(lambda path: control.request(path, 5, do="refuse"))


@pytest.mark.parametrize("line", [b"[]\n", b"{\n", b"\xff\n"])
def test_nonsense_is_answered_not_fatal(ask, line):
    """A bad request gets an error, and the next one is served."""
    bad, good = ask(raw(line), lambda path: control.request(path, 5, do="echo"))
    assert bad == {"ok": False, "error": "a request is a JSON object"}
    assert good["ok"]


def test_nobody_there_is_one_sentence(folder):
    """A dead daemon is not waited for."""
    with pytest.raises(LabError, match=r"the lab's daemon does not answer at .*control\.sock"):
        control.request(folder.control_socket, 5, do="status")
