"""A crowd of replicas: the run's deadline holds, work grows with their number and no faster, a sample is a sample."""

import asyncio
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quick import quick

from muster.judge.sample import looked_at
from muster.read import take
from muster.read.http import Http
from muster.read.pool import Pool, Server
from muster.read.redact import Redactor
from muster.read.replicas import MOST_DEEP, sample
from muster.read.wire import Receiving
from muster.snapshot import FailureKind, Reading, Snapshot

PODS = "/api/v1/namespaces/ns/pods"
OF_EVERY_REPLICA = ("health", "pqc_status", "mesh_status", "mesh_peers", "metrics", "mesh_tls", "mesh_downgrade")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def kinds(reading):
    """Why nothing is known: of the reading, or of each replica in it."""
    if reading.failure is not None:
        return {reading.failure.kind}
    return {entry["failure"]["kind"] for entry in reading.value.values()}


def test_the_runs_deadline_holds_for_a_crowd_that_hangs(system, environment, serve, workload, pod):
    """Three hundred replicas accept and say nothing: every reading of them is a timeout when the run's time is over."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as hung:
        port = hung.getsockname()[1]
        api = serve({PODS: {"items": [pod(f"a-{n}", ip=f"127.77.{n // 250}.{n % 250 + 1}") for n in range(300)]}})
        here = environment(kubernetes=workload(api.url, port, mesh_port=port))
        spent = []

        def read():
            before = time.process_time()
            snapshot = take(system, here, OF_EVERY_REPLICA, deadline_s=1.0, within_s=1.0)
            spent.append(time.process_time() - before)
            return snapshot

        # on a machine with nothing else to do it is hardly more than one second
        snapshot = quick(read, under_s=5.0)
    assert {kind for name in OF_EVERY_REPLICA for kind in kinds(snapshot.readings[name])} == {FailureKind.TIMEOUT}
    assert min(spent) < 3.0


def ask_all(replicas, most):
    """Ask each of so many servers five questions at once over at most so many connections; what the servers counted."""
    seen = {"connections": 0, "requests": 0, "open": 0, "most": 0}

    class Replica(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            seen["connections"] += 1
            seen["open"] += 1
            seen["most"] = max(seen["most"], seen["open"])

        def data_received(self, data):
            questions = data.count(b"\r\n\r\n")
            seen["requests"] += questions
            self.transport.write(ANSWER * questions)

        def connection_lost(self, _error):
            seen["open"] -= 1

    async def run():
        server = await asyncio.get_running_loop().create_server(Replica, "0.0.0.0", 0, backlog=1024)
        port = server.sockets[0].getsockname()[1]
        http = Http(timeout_s=30)
        http.pool = Pool(most=most)
        urls = [f"http://127.78.{n // 250}.{n % 250 + 1}:{port}/{path}" for path in range(5) for n in range(replicas)]
        answers = await asyncio.gather(*(http.get(url) for url in urls))
        await http.close()
        server.close()
        assert answers == [(200, b"{}")] * len(urls)

    asyncio.run(run())
    return seen


def test_work_grows_with_the_crowd_and_no_faster():
    """Five questions are five requests over one connection, however many replicas there are, and few are open."""
    few, many = ask_all(50, 10), ask_all(400, 10)
    assert (few["requests"], many["requests"]) == (250, 2000)
    assert few["connections"] <= 50 + 10
    assert many["connections"] <= 400 + 10
    assert max(few["most"], many["most"]) <= 20  # ten, and those whose end is still on its way


def test_whoever_gives_up_gives_its_place_back():
    """A question that is cancelled while it waits, or while it is asked, takes nobody's turn."""

    async def run():
        with socket.create_server(("127.0.0.1", 0)) as hung:
            silent = Server("127.0.0.1", hung.getsockname()[1])
            pool = Pool(most=1)
            held = await pool.take(silent)
            waiting = asyncio.create_task(pool.take(silent))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            asked = asyncio.create_task(held.ask(b"GET / HTTP/1.1\r\n\r\n", Receiving(lambda _: lambda _piece: None)))
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert not held.reusable
            pool.give(silent, held)
            another = await asyncio.wait_for(pool.take(silent), 5)
            assert another is not held
            another.abort()
            pool.give(silent, another)
            pool.close()

    asyncio.run(run())


def replicas(number, **changes):
    common = {"node": "n", "template_hash": "stable", "conditions": {"Ready": "True"}}
    return [{"name": f"a-{n:04d}", **common, **changes} for n in range(number)]


def test_a_sample_holds_who_is_in_trouble_and_some_of_every_build():
    """A canary of two among a thousand is looked at, and so is the replica that is not ready; few are all taken."""
    assert sample(replicas(MOST_DEEP)) == replicas(MOST_DEEP)
    crowd = replicas(1000)
    crowd[500] |= {"conditions": {"Ready": "False"}}
    for pod in crowd[700:702]:
        pod["template_hash"] = "canary"
    chosen = [pod["name"] for pod in sample(crowd)]
    assert len(chosen) == len(set(chosen)) == MOST_DEEP
    assert {"a-0500", "a-0700", "a-0701"} <= set(chosen)
    assert sum(name > "a-0500" for name in chosen) > 5, "and spread over all of them"


def snapshot(**values):
    readings = {name: Reading(name=name, source="s", at=0.0, took_s=0.0, value=value) for name, value in values.items()}
    return Snapshot(system="s", environment="e", time_scale=1.0, taken_at=0.0, took_s=0.0, readings=readings)


def test_a_finding_says_of_how_many_it_speaks():
    """What was not looked at has not passed; where all were looked at nothing is said."""
    everyone = {f"a-{n}": {} for n in range(1000)}
    few = dict(list(everyone.items())[:24])
    taken = snapshot(health=everyone, mesh_tls=few, metrics=everyone)
    assert looked_at(taken, ["mesh_tls", "metrics", "health"]) == "mesh_tls looked at 24 of 1,000 replicas"
    assert looked_at(taken, ["metrics"]) == ""
    assert looked_at(snapshot(pods=[{}] * 30, metrics=few), ["metrics"]) == "metrics looked at 24 of 30 replicas"
    assert looked_at(None, ["metrics"]) == ""


WORD = st.sampled_from(
    ["token", "plain", "PASSWORD", "a://u:p@h", "bearer abcdef1", "x=y", "sesame street", 'quo"ted sesame',
     "pa\u017fsword=1", "name", "value"]
)  # fmt: skip
VALUE = st.recursive(
    WORD | st.integers() | st.none() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(VALUE)
def test_the_quick_way_redacts_what_the_thorough_one_does(value):
    """An entry is passed over only where nothing in it would have been replaced."""
    secrets = ["sesame street", 'quo"ted sesame']
    assert Redactor(secrets).value(value) == Redactor(secrets).json(value)
