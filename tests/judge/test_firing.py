"""An alert that can never fire is found, with what is in its way; one that can passes."""

import dataclasses

import pytest

from muster.errors import Unknown
from muster.judge import firing, ruleset
from muster.rules.prometheus import groups
from muster.system import load_system
from muster.system.environment import Environment
from muster.system.selectors import selectors

LATENCY, ERRORS, DOWN = "X0TTA6BL4HighLatency", "X0TTA6BL4HighErrorRate", "X0TTA6BL4HealthCheckFailed"
BUCKET = "x0tta6bl4_request_duration_seconds_bucket"


@pytest.fixture(scope="module")
def facts():
    return load_system("x0tta6bl4")


@pytest.fixture(scope="module")
def loaded(facts):
    """The rules of the facts as a Prometheus holds them, by name."""
    here = Environment.model_validate({"name": "here", "description": "tests", "metric_selector": 'app="x"'})
    return {
        rule.get("alert") or rule["record"]: ruleset.Rule(
            name=rule.get("alert") or rule["record"], group="g", query=rule["expr"], for_s=0, labels=rule["labels"],
            health="ok", last_error="", state="inactive", kind="alerting" if "alert" in rule else "recording",
        )
        for group in groups(facts, here) for rule in group["rules"]
    }  # fmt: skip


@pytest.fixture
def series(loaded):
    """Every selector of every rule finds a series."""
    return {str(selector): 1 for rule in loaded.values() for selector in selectors(rule.query)}


@pytest.fixture
def buckets(facts):
    return {name: [0.1, 0.15, 0.2, 0.25, 0.5, 1.0] for slo in facts.slo.values() for name in slo.series}


def judge(alert, loaded, series, buckets, facts):
    firing.assert_can_fire(alert, tuple(loaded.values()), series, buckets, facts)


def test_every_alert_of_the_facts_can_fire(loaded, series, buckets, facts):
    """Rendered rules, on series that exist."""
    for alert in [*facts.alerts, facts.no_data.alert]:
        judge(alert, loaded, series, buckets, facts)


def test_an_alert_that_is_no_rule_never_fires(loaded, series, buckets, facts):
    """Nobody loaded it."""
    with pytest.raises(AssertionError, match=f"has no rule {LATENCY}: it can never fire"):
        judge(LATENCY, {}, series, buckets, facts)


def test_a_rule_on_a_series_that_does_not_exist_is_named_with_the_series(loaded, series, buckets, facts):
    """The recorded value is absent, and so is what it is recorded from: both are told."""
    gone = {name: 0 if "latency_p95" in name or BUCKET in name else number for name, number in series.items()}
    with pytest.raises(AssertionError, match=rf"no series matches x0tta6bl4:latency_p95.*{BUCKET}.app=\"x\"."):
        judge(LATENCY, loaded, gone, buckets, facts)


def test_a_selector_of_another_label_matches_nothing(loaded, series, buckets, facts):
    """The metric exists, under another app: for this rule it does not."""
    own = dataclasses.replace(loaded[ERRORS], query='sum(rate(x_total{app="y"}[5m])) > 0.01')
    with pytest.raises(AssertionError, match=r'can never fire: no series matches x_total.app="y".'):
        judge(ERRORS, {**loaded, ERRORS: own}, {**series, 'x_total{app="y"}': 0}, buckets, facts)


def test_a_recorded_zero_does_not_hide_that_its_series_is_gone(loaded, series, buckets, facts):
    """An expression may read an absence as 0: the value is there, what the facts say that it stands on is not."""
    gone = {name: 0 if "requests_total" in name else number for name, number in series.items()}
    with pytest.raises(AssertionError, match="no series matches x0tta6bl4_requests_total"):
        judge(ERRORS, loaded, gone, buckets, facts)


def test_a_failure_that_never_happened_is_no_missing_series(loaded, series, buckets, facts):
    """Of the two selectors of one metric only that of the 5xx finds nothing: nobody has failed yet."""
    none = {name: 0 if "5.." in name else number for name, number in series.items()}
    judge(ERRORS, loaded, none, buckets, facts)


@pytest.mark.parametrize(
    ("alert", "number", "taken"),
    [
        (LATENCY, "150", "milliseconds, and the series is in seconds"),
        (ERRORS, "1", "percent, and the series is in ratio"),
        ("X0TTA6BL4MemoryExhaustion", "2400", "megabytes, and the series is in bytes"),
        (LATENCY, "0.3", "the facts say 0.15 .150 ms."),
    ],
)
def test_a_threshold_in_another_unit_is_told_for_what_it_is(loaded, series, buckets, facts, alert, number, taken):
    """150 where the metric counts seconds: never reached, and the sentence says why."""
    left = loaded[alert].query.rpartition(" ")[0]
    wrong = dataclasses.replace(loaded[alert], query=f"{left} {number}")
    with pytest.raises(AssertionError, match=taken):
        judge(alert, {**loaded, alert: wrong}, series, buckets, facts)


def test_a_metric_in_another_unit_is_told_unless_it_is_converted(loaded, series, buckets, facts):
    """Its name says milliseconds, the limit of the facts is in seconds."""
    query = "histogram_quantile(0.95, sum by (le) (rate(request_duration_milliseconds_bucket[1m])))"
    series = {**series, "request_duration_milliseconds_bucket": 3}
    wrong = dataclasses.replace(loaded[LATENCY], query=f"{query} > 0.15")
    with pytest.raises(AssertionError, match=r"compares request_duration_milliseconds_bucket with 0\.15 seconds"):
        judge(LATENCY, {**loaded, LATENCY: wrong}, series, buckets, facts)
    right = dataclasses.replace(loaded[LATENCY], query=f"{query} / 1000 > 0.15")
    judge(LATENCY, {**loaded, LATENCY: right}, series, buckets, facts)


def test_a_limit_beyond_the_last_bucket_is_never_reached(loaded, series, buckets, facts):
    """A quantile reads the last finite bound at most."""
    with pytest.raises(AssertionError, match="ends at 100 ms, its quantile never reads more"):
        judge(LATENCY, loaded, series, {**buckets, BUCKET: [0.05, 0.1]}, facts)


def test_a_rule_that_cannot_be_evaluated_never_fires_and_one_that_waits_is_unknown(loaded, series, buckets, facts):
    """Prometheus' own reason is kept."""
    broken = dataclasses.replace(loaded[DOWN], health="err", last_error="many-to-many")
    with pytest.raises(AssertionError, match="cannot be evaluated: many-to-many"):
        judge(DOWN, {**loaded, DOWN: broken}, series, buckets, facts)
    waiting = dataclasses.replace(loaded[DOWN], health="unknown")
    with pytest.raises(Unknown, match="has not been evaluated yet"):
        judge(DOWN, {**loaded, DOWN: waiting}, series, buckets, facts)


def test_what_nobody_counted_is_unknown(loaded, buckets, facts):
    """No count is not a count of 0, and no bucket is not a good one."""
    with pytest.raises(Unknown, match="nobody counted the series of"):
        judge(ERRORS, loaded, {}, buckets, facts)
    with pytest.raises(Unknown, match="has no bucket of"):
        firing.assert_buckets_tell_every_threshold({}, facts)


def test_every_threshold_of_a_quantile_is_a_bound(buckets, facts):
    """480 and 520 ms read alike where the bounds are 400 and 600 ms: the limit and its neighbours are named."""
    firing.assert_buckets_tell_every_threshold(buckets, facts)
    with pytest.raises(AssertionError, match=r"latency_p95 > 500 ms \(rollback\) cannot .*nearest: 400 ms, 600 ms"):
        firing.assert_buckets_tell_every_threshold({**buckets, BUCKET: [0.1, 0.15, 0.2, 0.4, 0.6]}, facts)
