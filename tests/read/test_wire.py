"""HTTP as it comes off the wire: what is whole is an answer, what is not is told, and nothing waits for more."""

import asyncio

import pytest

from muster.read.http import Http
from muster.read.wire import BrokenAnswerError

OK = b"HTTP/1.1 200 OK\r\n"


def ask(*answers, times=1):
    """The bodies that these bytes give, one connection for each of ``answers``; how many connections were made."""
    made = 0

    async def run():
        nonlocal made

        async def serve(reader, writer):
            nonlocal made
            made += 1
            answer = answers[min(made, len(answers)) - 1]
            try:
                while await reader.readuntil(b"\r\n\r\n"):
                    for piece in answer:
                        writer.write(piece)
                        await writer.drain()
                        await asyncio.sleep(0.01)
                    if answer[-1:] == [b""]:
                        break
            except (asyncio.IncompleteReadError, OSError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a"
        http = Http(timeout_s=5)
        try:
            return [(await http.get(url))[1] for _ in range(times)]
        finally:
            await http.close()
            server.close()
            await asyncio.sleep(0.05)

    return asyncio.run(run()), made


@pytest.mark.parametrize(
    "answer",
    [
        [OK + b"Content-Length: 5\r\n\r\nhello"],
        [OK[:7], OK[7:] + b"Content-Le", b"ngth: 5\r\n\r\nhe", b"llo"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nl", b"lo\r\n0\r\n\r\n"],
        [OK + b"\r\nhel", b"lo", b""],  # to the connection's end, as old servers do
        [b"HTTP/1.0 200 OK\r\n\r\nhello", b""],
        [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello"],
    ],
)
def test_a_whole_answer_is_taken_however_it_is_cut(answer):
    """Its length given, in chunks, or to the end of the connection; in one piece or in many."""
    assert ask(answer)[0] == [b"hello"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([b""], "without an answer"),
        ([OK + b"Content-Length: 9\r\n\r\nhello", b""], "in the middle of its answer"),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b""], "in the middle of its answer"),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], "is not HTTP/1.1"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "is not HTTP/1.1"),
        ([OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"], "is not HTTP/1.1"),
        ([OK + b"X: " + b"x" * 70000], "no end of them"),
    ],
)
def test_what_is_not_whole_or_no_http_is_told(answer, said):
    """A half answer is not a short one."""
    with pytest.raises(BrokenAnswerError, match=said):
        ask(answer)


def test_a_connection_is_used_again_unless_the_server_wants_its_end():
    """Three questions over one; three where each answer says that it is the last."""
    assert ask([OK + b"Content-Length: 1\r\n\r\na"], times=3) == ([b"a"] * 3, 1)
    assert ask([OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na", b""], times=3) == ([b"a"] * 3, 3)


def test_what_comes_after_an_answer_is_not_the_next_one():
    """A server that says more than it was asked is not asked again over that connection."""
    first = [OK + b"Content-Length: 1\r\n\r\na" + b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nb"]
    second = [OK + b"Content-Length: 1\r\n\r\nc"]
    assert ask(first, second, times=2) == ([b"a", b"c"], 2)
