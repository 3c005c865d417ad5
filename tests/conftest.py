"""One lab per test worker, for every test that is marked ``lab``; and the small world of the lab's own rooms."""

import lab_world
import pytest

from lab import daemon


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The endpoints of a running lab, booted as ``muster lab up`` does, in a state folder of its own.

    Tests share it: leave it as you found it (start what you stop, roll back what you release).
    """
    from muster.cli.lab import boot

    state = tmp_path_factory.mktemp("lab")
    progress = []
    try:
        yield boot("x0tta6bl4", state, progress.append)
    finally:
        daemon.down(state)


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
