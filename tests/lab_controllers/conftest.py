"""Worlds in which only some controllers run."""

import lab_world
import pytest


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
