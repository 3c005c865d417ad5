"""The predicted time to detect is the sum of windows that are known."""

import pytest

from muster.rules import detection


def test_the_flagship_at_the_labs_scale(system, lab):
    """15% errors against 10% for 5m: two thirds of the 1 s window, then 5 s; at most a window and three intervals."""
    predicted = detection(system, lab, "X0TTA6BL4ErrorRatioRollback", value=0.15)
    assert predicted.lower_s == pytest.approx(5.667, abs=0.001)
    assert predicted.upper_s == pytest.approx(1 + 5 + 3 * 0.25)
    assert predicted.parts["for"] == (5.0, 5.25)
    assert "for 5 to 5.25" in str(predicted)


def test_new_pods_must_be_discovered_first(system, lab):
    """A release brings pods that Prometheus does not know yet, and no time scale divides that."""
    plain = detection(system, lab, "X0TTA6BL4ErrorRatioRollback")
    fresh = detection(system, lab, "X0TTA6BL4ErrorRatioRollback", new_targets=True)
    assert fresh.lower_s == plain.lower_s
    assert fresh.upper_s == pytest.approx(plain.upper_s + lab.discovery_s)


def test_at_true_scale_the_runbooks_own_minutes(system, staging):
    """P95 for 10 minutes: these at least, a minute of window and 45 s of intervals more at most."""
    predicted = detection(system, staging, "X0TTA6BL4LatencyRollback")
    assert (predicted.lower_s, predicted.upper_s) == (600, 705)


def test_at_once_means_intervals_only(system, staging):
    """PQC fallback waits for nothing but a scrape and an evaluation."""
    predicted = detection(system, staging, "X0TTA6BL4PQCFallback")
    assert (predicted.lower_s, predicted.upper_s) == (0, 30)


def test_warnings_wait_to_be_grouped(system, staging):
    """Only critical and rollback alerts go out at once."""
    assert detection(system, staging, "X0TTA6BL4HighLatency").parts["group wait"] == (30, 30)
    assert detection(system, staging, "X0TTA6BL4HighLatencyCritical").parts["group wait"] == (0, 0)


def test_durations_are_counted_in_evaluations(system, lab):
    """A duration that is no multiple of the evaluation interval lasts to the next one."""
    slow = lab.model_copy(update={"evaluation_interval_s": 120.0})
    assert detection(system, slow, "X0TTA6BL4ErrorRatioRollback").parts["for"] == (6.0, 8.0)
