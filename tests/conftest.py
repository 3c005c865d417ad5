"""One lab per test worker, for every test that is marked ``lab``."""

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
