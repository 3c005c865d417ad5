"""One lab for every test that is marked ``lab``; and the small world of the lab's own rooms."""

import signal
from pathlib import Path

import lab_world
import pytest
from hypothesis import HealthCheck, settings

from lab import daemon

SHARED_LAB = pytest.StashKey[Path]()

# an example takes as long as the machine stands still meanwhile
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure():
    """What is started in the background of a script ignores Ctrl-C and so do its children: nothing could be tested."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def lab(tmp_path_factory, request):
    """The endpoints of a running lab, booted as ``muster lab up`` does, in a state folder of its own.

    Tests share it: leave it as you found it (start what you stop, roll back what you release). With workers they are
    one group, ``xdist_group("lab")``: one lab is booted, and ends with the last of them.
    """
    from muster.cli.lab import boot

    state = request.config.stash[SHARED_LAB] = tmp_path_factory.mktemp("lab")
    progress = []
    try:
        yield boot("x0tta6bl4", state, progress.append)
    finally:
        daemon.down(state)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config, items):
    """Tests that share the lab are one group: outside it, a test would boot another lab for itself.

    xdist 3.8 tells groups at the end of an attribute that pytest 9.2 no longer has, and then silently spreads them:
    each worker would boot a lab. See https://github.com/pytest-dev/pytest-xdist/issues/1386.
    """
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if not mark and item.get_closest_marker("lab") and "lab" in item.fixturenames:
            mark = pytest.mark.xdist_group("lab")
            item.add_marker(mark)
        if mark and getattr(config.option, "loadgroup", False) and hasattr(item, "_id"):
            item._id = type(item._id).parse(f"{item.nodeid}@{mark.args[0]}")


@pytest.hookimpl(trylast=True)  # after the test's own fixtures
def pytest_runtest_teardown(item, nextitem):
    """End the shared lab with the last test of its group: at rest it takes a fifth of a core from all that follow."""
    ends = item.nodeid.endswith("@lab") and not (nextitem and nextitem.nodeid.endswith("@lab"))
    if ends and SHARED_LAB in item.config.stash:
        daemon.down(item.config.stash[SHARED_LAB])


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory):
    """One small world per worker; each test has a namespace of its own in it."""
    with lab_world.World(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def world(shared_world):
    return shared_world


@pytest.fixture
def own_world(tmp_path):
    """A world of the test's own, to stop and start parts of."""
    with lab_world.World(tmp_path) as world:
        yield world


@pytest.fixture
def namespace(world):
    """A namespace of the test's own; what runs in it would share the cores with every test that follows."""
    name = world.namespace()
    yield name
    world.abandon(name)


@pytest.fixture(scope="session")
def wait_until():
    return lab_world.wait_until


@pytest.fixture(scope="session")
def condition():
    return lab_world.condition


@pytest.fixture(scope="session")
def serving():
    """Container fields of a program that serves, with a readiness probe."""
    return lab_world.serving()
