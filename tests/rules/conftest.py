"""The facts of x0tta6bl4, its two environments, and the real promtool and amtool."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from muster.rules import write
from muster.system import load_environment, load_system

ROOT = Path(__file__).resolve().parents[2]
LOCAL = "http://127.0.0.1:1"


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def system():
    return load_system("x0tta6bl4", ROOT)


@pytest.fixture(scope="session")
def staging(system):
    return load_environment(system, "staging", ROOT)


@pytest.fixture(scope="session")
def lab_of(system):
    """The lab's environment with these addresses; the rest points where nothing listens."""

    def make(**addresses):
        names = re.findall(r"\$\{([a-z_]+)\}", str(system.environments["lab"]))
        given = {**dict.fromkeys(names, LOCAL), "time_scale": "60", "discovery": "7s", **addresses}
        return load_environment(system, "lab", ROOT, endpoints=given)

    return make


@pytest.fixture(scope="session")
def lab(lab_of):
    return lab_of()


@pytest.fixture(scope="session")
def rendered(system, staging, lab, tmp_path_factory):
    """Folders with everything rendered, by environment name."""
    folders = {}
    for environment in (staging, lab):
        folders[environment.name] = tmp_path_factory.mktemp(environment.name)
        write(system, environment, folders[environment.name])
    return folders


@pytest.fixture(scope="session")
def tool():
    """Runs promtool or amtool; skips where it is not installed."""

    def run(*argv, cwd=None, ok=True):
        if shutil.which(argv[0]) is None:
            pytest.skip(f"{argv[0]} is not installed")
        words = [str(word) for word in argv]
        done = subprocess.run(words, check=False, cwd=cwd, capture_output=True, text=True, timeout=120)
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done

    return run
