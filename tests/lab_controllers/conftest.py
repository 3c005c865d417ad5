"""One small world per test worker; each test has a namespace of its own."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("lab_world", Path(__file__).parents[1] / "lab_world.py")
lab_world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lab_world)


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory):
    world = lab_world.World(tmp_path_factory.mktemp("world"))
    try:
        world.up()
        yield world
    finally:
        world.down()


@pytest.fixture
def world(shared_world):
    return shared_world


@pytest.fixture
def own_world(tmp_path):
    """A world of the test's own, to stop and start parts of."""
    world = lab_world.World(tmp_path)
    try:
        world.up()
        yield world
    finally:
        world.down()


@pytest.fixture
def small_world(tmp_path):
    """A function: a world of the test's own with these controllers and flags, nothing started yet."""
    made = []

    def make(**options):
        made.append(lab_world.World(tmp_path, **options))
        return made[-1]

    yield make
    for world in made:
        world.down()


@pytest.fixture
def namespace(world):
    return world.namespace()


@pytest.fixture(scope="session")
def wait_until():
    return lab_world.wait_until


@pytest.fixture(scope="session")
def condition():
    return lab_world.condition


@pytest.fixture
def serving():
    """Container fields of a program that serves, with a readiness probe."""
    return {
        "image": "lab.test/web:1",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1},
    }
