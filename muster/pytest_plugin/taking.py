"""Taking the snapshot of a run: every reading that its checks name, once, with what is expected beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import pytest

from muster.pytest_plugin.expected import EXPECTED_RULES, with_expected_rules
from muster.pytest_plugin.subject import Subject
from muster.pytest_plugin.terminal import progress
from muster.read import take
from muster.snapshot import Reading, Snapshot


def take_for(
    config: pytest.Config, subject: Subject, names: Collection[str], *, keep: Callable[[Snapshot], None]
) -> None:
    """Take the readings of these names and ``keep`` the snapshot.

    When the run is ended meanwhile, what was read until then is kept, marked as interrupted, before KeyboardInterrupt
    goes on.
    """
    environment, taken = subject.environment, dict[str, Reading]()
    assert environment is not None  # noqa: S101 - asked by the caller
    began_at, began = time.time(), time.perf_counter()
    to_read = set(names) - {EXPECTED_RULES}
    with progress(config, len(to_read)) as show:

        def on_reading(reading: Reading) -> None:
            taken[reading.name] = reading
            show(reading)

        try:
            snapshot = take(subject.system, environment, to_read, on_reading=on_reading)
        except KeyboardInterrupt as error:
            keep(
                Snapshot(
                    system=subject.system.name,
                    environment=environment.name,
                    time_scale=environment.time_scale,
                    taken_at=round(began_at, 3),
                    took_s=round(time.perf_counter() - began, 3),
                    readings=taken,
                    interrupted=str(error) or "KeyboardInterrupt",
                )
            )
            raise
    keep(with_expected_rules(snapshot, subject.system, environment) if EXPECTED_RULES in names else snapshot)
