"""The pytest plugin: readings as fixtures, UNKNOWN as an outcome, the outputs of a run.

Light to import, and asleep unless every argument of the run lies in a folder named ``checks``: the tests of any other
project, and Muster's own, are not touched by it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKS = "checks"
runbook = pytest.mark.runbook  # for checks: @runbook("<runbook>#<section>", step=3)
chain = pytest.mark.chain  # for checks of the way from alert to people and rollback: a drill's baseline leaves them out


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run of checks. Pytest's own ``--strict`` makes what only warns fail."""
    group = parser.getgroup("muster", "muster: checks of a running system")
    group.addoption("--system", metavar="NAME", help="the system of systems/NAME.yaml (default: x0tta6bl4)")
    group.addoption("--env", metavar="NAME", help="which of its environments (default: lab)")
    group.addoption("--snapshot", metavar="FILE", help="judge this snapshot.json again instead of reading anything")
    group.addoption("--run-dir", metavar="DIR", help="write the outputs here (default: a new folder in reports/)")
    group.addoption(
        "--findings",
        choices=("table", "json"),
        default="table",
        help="what the terminal shows: a table or summary.json",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Wake up for a run of checks, before other plugins configure themselves."""
    folder = checks_folder(config)
    if folder is None or any(config.getoption(name, False) for name in ("help", "version", "markers", "showfixtures")):
        return
    from muster.pytest_plugin.activate import activate

    activate(config, folder)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and let the run's own reporter take over the terminal."""
    config.addinivalue_line(
        "markers", "runbook(anchor, step=0): the runbook section, <runbook>#<section>, that the check encodes"
    )
    config.addinivalue_line(
        "markers",
        "chain: about the way from alert to people and rollback; a drill proves it, so its baseline leaves it out",
    )
    run = config.pluginmanager.getplugin("muster-run")
    if run is not None:
        run.take_over_terminal()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Checks are run by themselves: a run of everything else passes them by."""
    awake = config.pluginmanager.hasplugin("muster-run")
    if collection_path.name == CHECKS and collection_path.parent == config.rootpath and not awake:
        return True
    return None


def checks_folder(config: pytest.Config) -> Path | None:
    """The folder ``checks`` in which every argument lies; None when this is no run of checks."""
    folders = {_folder_of(config, argument) for argument in config.args}
    if len(folders) > 1 and any(folders):
        raise pytest.UsageError(f"{CHECKS}/ is run by itself: name nothing else beside it")
    return folders.pop() if folders else None


def _folder_of(config: pytest.Config, argument: str) -> Path | None:
    path = Path(os.path.abspath(config.invocation_params.dir / argument.partition("::")[0]))  # noqa: PTH100 - links stay
    inside = [path, *path.parents]
    if config.rootpath in inside:
        inside = inside[: inside.index(config.rootpath) + 1]
    return next((folder for folder in reversed(inside) if folder.name == CHECKS), None)
