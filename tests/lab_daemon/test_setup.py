"""lab/setup.sh does nothing where all is there, and otherwise says exactly what is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest

import lab

SETUP = Path(lab.__file__).parent / "setup.sh"
OPTIONAL = ("nft", "ss")
PROGRAMS = ("haproxy", "prometheus", "promtool", "alertmanager", "amtool")
TOOLS = ("bash", "cat", "paste")


@pytest.fixture
def run_setup(tmp_path):
    """Run it with a PATH of the tools it needs and of these programs (besides what the machine keeps in sbin)."""

    def run(*programs):
        for name in (*programs, *OPTIONAL):
            (tmp_path / name).write_text("#!/bin/sh\n")
            (tmp_path / name).chmod(0o755)
        for tool in TOOLS:
            (tmp_path / tool).symlink_to(shutil.which(tool))
        argv = [shutil.which("bash"), str(SETUP)]
        return subprocess.run(argv, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)

    return run


def test_with_everything_on_path_it_does_nothing(run_setup):
    """Silent, exit code 0."""
    done = run_setup(*PROGRAMS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_debians_name_of_alertmanager_counts(run_setup):
    """prometheus-alertmanager is alertmanager."""
    assert run_setup(*(set(PROGRAMS) - {"alertmanager"}), "prometheus-alertmanager").returncode == 0


def test_without_apt_it_lists_what_is_missing_and_where_to_get_it(run_setup):
    """Exit code 1, the programs by name, and only the packages that are missing."""
    done = run_setup(*(set(PROGRAMS) - {"promtool"}))
    assert done.returncode == 1
    assert done.stderr.startswith("muster: the lab needs these programs on PATH: promtool\n")
    assert "apt-get install --no-install-recommends prometheus\n" in done.stderr
    assert "https://prometheus.io/download" in done.stderr
