"""Logs on disk, and the endpoint that the API server proxies."""

import asyncio
import time

import httpx
import pytest

from lab.agent.logs import Log, LogWatcher, read


def write(log, *lines):
    with log.path.open("ab") as file:
        file.write(b"".join(lines))
    log.scan()


async def whole(log, **options):
    return b"".join([piece async for piece in read(log, **options)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"one\ntwo\nthree\n"),
        ({"tail": 2}, b"two\nthree\n"),
        ({"tail": 0}, b""),
        ({"tail": 9}, b"one\ntwo\nthree\n"),
        ({"limit": 5}, b"one\nt"),
        ({"since_ns": 2**62}, b""),
        ({"tail": 1, "limit": 3}, b"thr"),
    ],
)
def test_any_part_of_a_log_can_be_asked_for(tmp_path, options, expected):
    """Tail, limit and since cut where kubelets cut."""

    async def story():
        log = Log(tmp_path / "0.log")
        write(log, b"one\n", b"two\n", b"three\n")
        return await whole(log, **options)

    assert asyncio.run(story()) == expected


def test_each_line_has_the_time_at_which_it_came(tmp_path):
    """Timestamps are RFC3339 with nanoseconds, survive a new agent, and since selects by them."""

    async def story():
        log = Log(tmp_path / "0.log")
        write(log, b"early\nhal")
        middle = time.time_ns()
        write(log, b"f\n", b"late\n")
        again = Log(tmp_path / "0.log")
        return middle, await whole(again, timestamps=True), await whole(again, since_ns=middle)

    middle, stamped, later = asyncio.run(story())
    times, texts = zip(*(line.split(b" ", 1) for line in stamped.splitlines()), strict=True)
    assert texts == (b"early", b"half", b"late")
    assert list(times) == sorted(times)
    assert times[1].startswith(time.strftime("%Y-%m-%dT", time.gmtime(middle / 1e9)).encode())
    assert len(times[1]) == len("2026-01-01T00:00:00.000000000Z")
    assert later == b"late\n"


def test_a_followed_log_goes_on_until_its_program_ends(tmp_path):
    """What is written while somebody follows arrives without polling; the end of the program ends it."""

    async def story():
        log = Log(tmp_path / "0.log")
        write(log, b"first\n")
        watcher, ended = LogWatcher(), asyncio.Event()
        watcher.add(log)
        following = asyncio.create_task(whole(log, follow_until=ended))
        await asyncio.sleep(0.01)
        with log.path.open("ab") as file:
            file.write(b"second\n")
        grown = log.changed
        await asyncio.wait_for(grown.wait(), 5)
        ended.set()
        result = await asyncio.wait_for(following, 5)
        watcher.close()
        return result

    assert asyncio.run(story()) == b"first\nsecond\n"


def test_logs_are_served_through_the_api_and_only_with_its_token(world, namespace, serving, wait_until):
    """The API proxies the node's endpoint; without the token the node says 401."""
    world.pod(namespace, "one", **serving)
    pod = world.wait_ready(namespace, "one")
    world.asks(pod, "/say")
    path = f"/api/v1/namespaces/{namespace}/pods/one/log"
    wait_until(lambda: world.kube._http.get(path).text == "born 1\nsaid\n", "both lines")
    assert world.kube._http.get(path, params={"tailLines": "1"}).text == "said\n"
    previous = world.kube._http.get(path, params={"previous": "true"})
    assert previous.status_code == 400
    assert previous.json()["message"] == 'previous terminated container "main" in pod "one" not found'
    port = world.kube.get("/api/v1/nodes/lab-node")["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    assert httpx.get(f"http://127.0.0.1:{port}/containerLogs/{namespace}/one/main").status_code == 401


def test_the_log_of_the_run_before_the_crash_is_kept(world, namespace, wait_until):
    """--previous shows what the program said before it died."""
    world.pod(namespace, "crash", image="lab.test/sh:1", args=["echo last words $POD_IP; exit 3"])
    path = f"/api/v1/namespaces/{namespace}/pods/crash/log"
    wait_until(
        lambda: world.kube._http.get(path, params={"previous": "true"}).text.startswith("last words 127."), "its words"
    )
