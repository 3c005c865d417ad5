"""``pytest experiments`` runs the experiments of this folder: see muster/drill."""

import pytest

from muster.drill.session import begin


def pytest_configure(config: pytest.Config) -> None:
    begin(config)
