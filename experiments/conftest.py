"""``pytest experiments`` runs the experiments of this folder: see muster/drill."""

import pytest

from muster.drill.collect import pytest_collect_file
from muster.drill.session import begin

__all__ = ["pytest_collect_file", "pytest_configure"]


def pytest_configure(config: pytest.Config) -> None:
    begin(config)
