import asyncio
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from lab.daemon.folder import Folder
from lab.daemon.supervisor import Component, Supervisor


@pytest.fixture
def tmp_path():
    """A short path: sockets then lie in the state folder itself, as they do for most users."""
    with TemporaryDirectory(prefix="lab") as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path):
    """A claimed state folder with room for records and logs."""
    folder = Folder.claim(tmp_path / "state")
    for made in (folder.records, folder.logs):
        made.mkdir()
    return folder


@pytest.fixture
def python():
    """Start ``python -c CODE`` as a child; whatever is left of it is ended afterwards."""
    children = []

    def start(code):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout.readline() == "ready\n"
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture
def component():
    """A component that runs ``python -c CODE``."""
    return lambda name, code, **more: Component(name=name, argv=(sys.executable, "-c", code), **more)


@pytest.fixture
def supervise(folder):
    """Run a coroutine function on a supervisor of these components; all are ended afterwards."""

    def play(story, *components):
        async def whole():
            supervisor = Supervisor(folder, components)
            try:
                return await story(supervisor)
            finally:
                await supervisor.stop_all()

        return asyncio.run(whole())

    return play


@pytest.fixture
def is_running():
    """Whether a process id is a living process (a zombie has ended)."""

    def running(pid):
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return running
