"""Without a Prometheus, indicators come from two looks at every replica's page, and say so."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patient import take

from muster.errors import Unknown
from muster.judge import assert_every_replica_holds, assert_holds, view
from muster.read import metrics, rates
from muster.snapshot import FailureKind
from muster.system.expectations import Scrape
from muster.system.model import System

TYPE = ("Content-Type", "text/plain; version=0.0.4")
PODS = "/api/v1/namespaces/ns/pods"


@pytest.fixture
def tiny(system):
    """The least system, with two indicators that /metrics can tell and one that it cannot."""
    raw = system.model_dump(by_alias=True, exclude_defaults=True)
    slo = {
        **raw["slo"]["error_ratio"],
        "critical": {"above": "5%", "source": "tests"},
        "scrape": {"shape": "ratio", "series": 'all_total{code="bad"}', "of": "all_total"},
    }
    series = {"series": ["took_seconds_bucket"], "query": "histogram_quantile(0.95, took_seconds_bucket{{selector}})"}
    raw["slo"] = {
        "error_ratio": slo,
        "p95": {
            **slo, **series, "per_replica": "", "unit": "seconds", "critical": {"above": "200ms", "source": "tests"},
            "scrape": {"shape": "quantile", "series": "took_seconds_bucket", "quantile": 0.95},
        },
        "busy": {**slo, "scrape": {"shape": "rate", "series": "all_total"}, "unit": "per_second",
                 "critical": {"above": "1000000/s", "source": "tests"}},
        "told": {key: value for key, value in slo.items() if key != "scrape"},
    }  # fmt: skip
    return System.model_validate(raw)


@pytest.fixture(autouse=True)
def close_together(monkeypatch):
    """The looks are 50 ms apart, that these tests be quick."""
    monkeypatch.setattr(metrics, "APART_S", 0.05)


@pytest.fixture
def replicas(serve, environment, workload, pod):
    """An environment without Prometheus in which each replica serves its pages one after the other, then the last."""

    def make(*pages):
        def serving(texts):
            left = list(texts)
            return lambda _: (200, (left.pop(0) if len(left) > 1 else left[0]).encode(), TYPE)

        first = serve({"/metrics": serving(pages[0])})
        pods = [pod("a")]
        for index, texts in enumerate(pages[1:], 2):
            serve({"/metrics": serving(texts)}, host=f"127.0.0.{index}", port=first.port)
            pods.append(pod("abc"[index - 1], f"127.0.0.{index}"))
        api = serve({PODS: {"items": pods}})
        return environment(kubernetes=workload(api.url, first.port))

    return make


def counted(bad, good):
    return f'all_total{{code="bad"}} {bad}\nall_total{{code="good"}} {good}\n'


def test_a_share_is_read_whole_and_by_replica_and_says_how(tiny, replicas):
    """One bad replica of two shows; the same judges judge it, and name the method in their sentence."""
    here = replicas([counted(5, 100), counted(5, 200)], [counted(0, 10), counted(20, 90)])
    snapshot = take(tiny, here, ["error_ratio"])
    value = snapshot.readings["error_ratio"].value
    assert value["per_replica"] == {"a": 0.0, "b": 0.2}
    assert value["value"] == pytest.approx(0.1)
    assert "twice" in snapshot.readings["error_ratio"].source
    indicator = view(snapshot, "error_ratio", tiny)
    with pytest.raises(AssertionError, match=r"error_ratio 10% > 5% over .*from two scrapes of /metrics"):
        assert_holds(indicator)
    with pytest.raises(AssertionError, match="error_ratio of b 20%"):
        assert_every_replica_holds(indicator)


def test_a_counter_that_was_reset_counts_from_zero(tiny, replicas):
    """A replica that started again between the looks lost its past, not its present."""
    here = replicas([counted(50, 1000), counted(1, 3)])
    assert take(tiny, here, ["error_ratio"]).readings["error_ratio"].value["value"] == 0.25


def test_a_failure_that_was_never_counted_is_none(tiny, replicas):
    """Many services show no 5xx series before the first one."""
    here = replicas(['all_total{code="good"} 1\n', 'all_total{code="good"} 5\n'])
    assert take(tiny, here, ["error_ratio"]).readings["error_ratio"].value["value"] == 0.0


def test_no_traffic_at_all_is_empty_and_none_on_one_replica_is_a_gap(tiny, replicas):
    """0/0 is no share: nobody passes by it."""
    still = [counted(1, 1)] * 2
    found = take(tiny, replicas(still), ["error_ratio"]).readings["error_ratio"].failure
    assert found.kind is FailureKind.EMPTY
    assert re.fullmatch(r"no traffic in 1?\d\.\d s", found.message)
    snapshot = take(tiny, replicas([counted(0, 1), counted(0, 9)], still), ["error_ratio"])
    with pytest.raises(Unknown, match="no traffic to b"):
        assert_holds(view(snapshot, "error_ratio", tiny))


def test_a_replica_that_cannot_be_read_or_lacks_the_series_is_a_gap(tiny, replicas):
    """The value stands for the others; nobody may pass over it."""
    here = replicas([counted(0, 1), counted(0, 9)], ["<html>\n"], ["other 1\n"])
    value = take(tiny, here, ["error_ratio"]).readings["error_ratio"].value
    assert "b: http://127.0.0.2" in value["gaps"][0]
    assert "not a metric at line 1" in value["gaps"][0]
    assert value["gaps"][1] == "c has no all_total"


def test_a_series_that_no_replica_has_is_empty(tiny, replicas):
    """With the name of what is missing."""
    found = take(tiny, replicas(["up 1\n"]), ["p95"]).readings["p95"].failure
    assert (found.kind, found.message) == (FailureKind.EMPTY, "a has no took_seconds_bucket")


def test_a_quantile_is_that_of_the_observations_between_the_looks(tiny, replicas):
    """Ten slow ones of a hundred, all of them new: what was counted before does not matter."""

    def page(fast, slow):
        rows = {"0.1": fast, "0.4": fast + slow, "+Inf": fast + slow}
        return "".join(f'took_seconds_bucket{{le="{le}"}} {count}\n' for le, count in rows.items())

    value = take(tiny, replicas([page(10_000, 0), page(10_090, 10)]), ["p95"]).readings["p95"].value
    assert value["value"] == pytest.approx(0.25)


def test_a_rate_is_per_second_over_the_time_between_the_looks(tiny, replicas):
    """As measured, not as intended."""
    value = take(tiny, replicas([counted(0, 0), counted(0, 100)]), ["busy"]).readings["busy"].value
    assert value["value"] == pytest.approx(100 / value["window_s"], rel=1.0)
    assert value["window_s"] < 20


def test_what_metrics_do_not_tell_is_undeclared(tiny, replicas):
    """A check of it is skipped, with the reason."""
    found = take(tiny, replicas([counted(0, 1)]), ["told"]).readings["told"].failure
    assert found.kind is FailureKind.UNDECLARED
    assert "declares no Prometheus, and 'errors' is not told by /metrics alone" in found.message


@given(
    st.lists(st.floats(0.001, 100), min_size=1, max_size=8, unique=True),
    st.lists(st.integers(0, 1000), min_size=9, max_size=9),
    st.floats(0.01, 0.99),
)
def test_a_quantile_lies_between_its_buckets_bounds(bounds, counts, share):
    """Whatever the histogram: between 0 and its last finite bound, or no number without observations."""
    total, buckets = 0, {}
    for bound, count in zip([*sorted(bounds), math.inf], counts, strict=False):
        total += count
        buckets[bound] = total
    found = rates.quantile(share, buckets)
    if total == 0:
        assert math.isnan(found)
    else:
        assert 0 <= found <= max(bounds)


def test_a_ratio_is_of_something():
    """The facts say of what, and only a ratio is of anything."""
    for wrong in ({"shape": "ratio", "series": "a"}, {"shape": "rate", "series": "a", "of": "b"}):
        with pytest.raises(ValueError, match="a ratio, and nothing else"):
            Scrape.model_validate(wrong)
