"""Warm starts: a fork of a program in waiting is what a start of the program would have been."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from lab.agent import process
from lab.agent.images import Image
from lab.agent.standby import ORDER_BYTES
from lab.agent.warm import WarmStarts

PROGRAM = """
import json, os, signal, sys, time
from warmth import words

def main():
    status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines())
    facts = {"name": __name__, "argv": sys.argv, "environ": dict(os.environ), "folder": os.getcwd(), "path": sys.path}
    facts |= {"leads": os.getsid(0) == os.getpgid(0) == os.getpid(), "stdin": os.readlink("/proc/self/fd/0")}
    facts |= {"open": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1], "flags": list(sys.flags)}
    facts |= {name: status[name].strip() for name in ("SigBlk", "SigIgn", "SigCgt", "Threads")}
    facts |= {"groups": [line.split("/")[-2] for line in open("/proc/self/cgroup") if "muster-lab" in line]}
    facts |= {"policy": os.sched_getscheduler(0), "cpu": time.process_time() < 1, "words": words.WORDS}
    print(json.dumps(facts | {"pid": os.getpid()}), flush=True)
    hog = bytearray(int(os.environ.get("HOG_BYTES", "0")))
    if "EXIT" in os.environ:
        sys.exit(int(os.environ["EXIT"]))
    while True:
        signal.pause()

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def program(tmp_path):
    """A package ``warmth`` to be run with ``python -m``; returns its folder.

    Of each test its own to the last byte: the world is shared, and a standby of the same files is taken again, with the
    path of the test before.
    """
    folder = tmp_path / "warmth"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(f"{PROGRAM}\n# {tmp_path.name}\n")
    (folder / "words.py").write_text("WORDS = 'first'\n")
    return folder


@pytest.fixture
def images(world, program):
    """The same program as an image that starts warm and as one that starts cold."""
    image = {
        "tags": ["1"],
        "command": ["{python}", "-m", "warmth"],
        "env": {"PYTHONPATH": f"{{root}}:{program.parent}", "PYTHONDONTWRITEBYTECODE": "1"},
        "files": [str(program)],
    }
    world.write_images(**{"lab.test/cold": image, "lab.test/warm": image | {"warm": True}})


@pytest.fixture
def run(world, namespace, images, wait_until):
    """Run a pod of the image; returns what its program says of itself."""

    def start(name, image="lab.test/warm:1", *, pod=None, **container):
        world.pod(namespace, name, image=image, pod=pod, **container)
        (log,) = wait_until(lambda: list((world.state / "pods").glob(f"{namespace}_{name}_*/main/0.log")), "its log")
        wait_until(lambda: log.read_text().endswith("\n"), "the program to speak")
        return json.loads(log.read_text())

    return start


def env(**variables):
    return [{"name": name, "value": value} for name, value in variables.items()]


def ended(world, namespace, name):
    return world.get(namespace, "pods", name)["status"]["containerStatuses"][0]["state"].get("terminated")


def test_a_program_cannot_tell_whether_it_was_started_warm_or_cold(world, run):
    """Arguments, environment, folder, session, descriptors, signals, path: the same but for the pod's own name."""
    told = {}
    for name in ("cold", "warm"):
        told[name] = run(name, f"lab.test/{name}:1", args=["--fast", "x y"], env=env(WORD="grüße\n2"))
        process_ = psutil.Process(told[name].pop("pid"))
        assert (process_.parent().cmdline()[2] == "lab.agent.standby") is (name == "warm")
        told[name]["cmdline"] = process_.cmdline()
        home = told[name]["environ"]["HOME"]
        for own in ("HOSTNAME", "HOME", "POD_IP", "SERVICEACCOUNT_ROOT"):
            assert name in told[name]["environ"].pop(own) or own == "POD_IP"
        assert told[name].pop("folder") == told[name]["path"].pop(0) == home
    assert " ".join(told["warm"].pop("cmdline")).strip() == " ".join(told["cold"].pop("cmdline"))
    assert told["warm"] == told["cold"]


@pytest.mark.parametrize(
    ("variables", "resources", "code", "reason"),
    [
        ({"EXIT": "7"}, {}, 7, "Error"),
        ({"EXIT": "0"}, {}, 0, "Completed"),
        ({"HOG_BYTES": str(120 * 2**20)}, {"limits": {"memory": "64Mi"}}, 137, "OOMKilled"),
    ],
)
def test_its_end_is_reported_as_ever(world, namespace, run, wait_until, variables, resources, code, reason):
    """Exit codes and a memory limit, as of a program started cold."""
    run("one", env=env(**variables), resources=resources, pod={"restartPolicy": "Never"})
    found = wait_until(lambda: ended(world, namespace, "one"), "its end")
    assert (found["exitCode"], found["reason"]) == (code, reason)


def test_changed_files_are_what_runs_next_and_the_end_of_what_ran_before_is_still_known(
    world, namespace, run, wait_until, program
):
    """No pod ever runs what is no longer on disk."""
    first = run("before", pod={"restartPolicy": "Never"})
    (program / "words.py").write_text("WORDS = 'second edition'\n")
    assert (first["words"], run("after")["words"]) == ("first", "second edition")
    os.kill(first["pid"], signal.SIGUSR1)
    assert wait_until(lambda: ended(world, namespace, "before"), "its end")["exitCode"] == 128 + signal.SIGUSR1


def test_a_lost_standby_takes_nobody_with_it_and_another_takes_its_place(world, namespace, run, wait_until):
    """Killed: its pods run on, only their exit codes are lost; the next pod starts, cold, the one after it warm."""
    orphan = run("orphan", pod={"restartPolicy": "Never"})
    standby = psutil.Process(orphan["pid"]).parent()
    assert standby.cmdline()[2] == "lab.agent.standby"  # else the agent itself would be killed
    standby.kill()
    assert psutil.Process(run("next")["pid"]).parent().cmdline()[2] == "lab.agent"
    assert psutil.Process(orphan["pid"]).is_running()
    assert psutil.Process(run("later")["pid"]).parent().cmdline()[2] == "lab.agent.standby"
    os.kill(orphan["pid"], signal.SIGUSR1)
    assert wait_until(lambda: ended(world, namespace, "orphan"), "its end")["exitCode"] == 137


def test_what_a_fork_could_not_do_justice_is_started_cold(run):
    """Variables that the interpreter reads at its start."""
    assert run("seeded", env=env(PYTHONHASHSEED="0"))["flags"][11] == 0
    assert run("plain")["flags"][11] == 1


def image(program, *, warm=True, module="warmth"):
    command = (sys.executable, "-m", module)
    return Image("x:1", "x", command, {"PYTHONPATH": f"{Path.cwd()}:{program.parent}"}, False, (program,), warm)


@pytest.mark.parametrize(
    ("change", "variables", "memory"),
    [
        ({}, {"BIG": "x" * 130_000}, None),
        ({}, {}, 2**20),
        ({"warm": False}, {}, None),
        ({"module": "warmth.missing"}, {}, None),
    ],
    ids=["environment too large", "limit below what the modules take", "not marked", "cannot be imported"],
)
def test_whoever_cannot_be_forked_is_spawned(program, tmp_path, change, variables, memory):
    """Each is a cold start, not a failure."""

    async def found():
        starts, one = WarmStarts(tmp_path), image(program, **change)
        try:
            ours = await starts.way(image(program), image(program).command, image(program).env, None)
            assert ours is not process.spawn
            return await starts.way(one, one.command, one.env | variables, memory)
        finally:
            starts.close()

    assert asyncio.run(found()) is process.spawn


def test_a_start_that_fails_says_why_as_a_cold_one_does(program, tmp_path):
    """A folder that is not there: FileNotFoundError, and no process is left."""
    before = set(psutil.Process().children())

    async def start():
        starts, one = WarmStarts(tmp_path), image(program)
        try:
            spawn = await starts.way(one, one.command, one.env, None)
            with pytest.raises(FileNotFoundError):
                spawn(one.command, one.env, tmp_path / "nowhere", 1)
            (standby,) = set(psutil.Process().children()) - before
            assert standby.children() == []
        finally:
            starts.close()

    asyncio.run(start())
    assert set(psutil.Process().children()) == before


def test_a_pod_that_is_deleted_while_it_waits_for_the_standby_does_not_hold_up_the_others(program, tmp_path):
    """Whoever asks next is served warm."""

    async def start():
        starts, one = WarmStarts(tmp_path), image(program)
        try:
            first = asyncio.ensure_future(starts.way(one, one.command, one.env, None))
            await asyncio.sleep(0)
            first.cancel()
            async with asyncio.timeout(30):
                return await starts.way(one, one.command, one.env, None)
        finally:
            starts.close()

    assert asyncio.run(start()) is not process.spawn


def test_a_program_does_not_run_when_nobody_was_told_of_it(program, tmp_path, wait_until):
    """Its standby is killed before it answered: another one, started cold, would have had it for company."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one, log, (way_out, door) = image(program), tmp_path / "log", os.pipe()
    size = fcntl.fcntl(door, fcntl.F_GETPIPE_SZ)
    os.write(door, bytes(size))  # full: the fork waits at it
    with ours, log.open("wb") as written, os.fdopen(way_out, "rb") as inside:
        standby = psutil.Popen([sys.executable, "-m", "lab.agent.standby", "warmth"], env=one.env, stdin=theirs)
        theirs.close()
        assert json.loads(ours.recv(ORDER_BYTES)) == {"ready": True}
        order = {"argv": one.command, "env": one.env | {"EXIT": "0"}, "folder": str(tmp_path)}
        socket.send_fds(ours, [json.dumps(order).encode()], [written.fileno(), door])
        os.close(door)
        (fork,) = wait_until(standby.children, "its fork")
        standby.kill()
        standby.wait(timeout=30)
        inside.read(size)
        psutil.wait_procs([fork], timeout=30)
        assert not fork.is_running()
    assert log.read_text() == ""


@pytest.mark.parametrize("when", ["start", "reap"])
def test_a_standby_that_does_not_answer_is_given_up(program, tmp_path, wait_until, when):
    """Stopped: the start that waited for it is a cold one, an exit code is lost, the next start is warm again."""
    before = set(psutil.Process().children())

    async def start():
        starts, one = WarmStarts(tmp_path), image(program)
        env = one.env | {"EXIT": "7"}
        try:
            spawn = await starts.way(one, one.command, env, None)
            (standby,) = set(psutil.Process().children()) - before
            (asked,) = starts._standbys.values()
            if when == "start":
                standby.suspend()
                asked._orders.settimeout(0.3)  # of this one only: whoever answers may take its time
                assert await spawn(one.command, env, tmp_path, 1).wait() == 7
            else:
                waiting = spawn(one.command, env, tmp_path, 1)
                ended = psutil.Process(waiting.pid)
                wait_until(lambda: ended.status() == psutil.STATUS_ZOMBIE, "its end, which nobody is told of yet")
                standby.suspend()
                asked._orders.settimeout(0.3)
                assert await waiting.wait() == process.UNKNOWN_EXIT
            spawn = await starts.way(one, one.command, env, None)
            assert await spawn(one.command, env, tmp_path, 1).wait() == 7
            assert len(set(psutil.Process().children()) - before) == 1
        finally:
            starts.close()

    asyncio.run(start())
    assert set(psutil.Process().children()) == before
