"""What a query asks of a metric is what a metric of its type can tell."""

import pytest

from muster.errors import Unknown
from muster.judge import metric_types as judge
from muster.system import load_system


@pytest.fixture(scope="module")
def facts():
    return load_system("x0tta6bl4")


@pytest.fixture
def types(facts):
    """A type for each metric with which every query makes sense."""
    return {m: ["counter" if f in ("rate", "increase") else "gauge"] for _, f, m in judge.functions(facts)}


def test_every_function_of_the_facts_is_found(facts):
    """Those of per-replica queries, too; a plain gauge has none."""
    found = set(judge.functions(facts))
    assert ("error_ratio", "rate", "x0tta6bl4_requests_total") in found
    assert ("memory_growth", "delta", "process_resident_memory_bytes") in found
    assert ("restarts", "increase", "kube_pod_container_status_restarts_total") in found
    assert not [metric for _, _, metric in found if metric == "x0tta6bl4_pqc_fallback_enabled"]


def test_counters_and_histograms_have_rates_and_gauges_differences(types, facts):
    """A series of a histogram counts, and what is untyped beside a type says nothing against it."""
    judge.assert_types_fit(types, facts)
    types["x0tta6bl4_request_duration_seconds_bucket"] = ["histogram", "unknown"]
    judge.assert_types_fit(types, facts)


@pytest.mark.parametrize(
    ("metric", "kind", "said"),
    [
        ("x0tta6bl4_requests_total", "gauge", "error_ratio takes rate() of x0tta6bl4_requests_total, .* a gauge"),
        ("process_resident_memory_bytes", "counter", r"memory_growth takes delta\(\) of .* a counter"),
        ("process_cpu_seconds_total", "info", "cpu takes rate"),
    ],
)
def test_a_metric_of_the_wrong_type_fails_every_claim_on_it(types, facts, metric, kind, said):
    """Also when only some of the targets declare it so."""
    types[metric] = sorted([*types[metric], kind])
    with pytest.raises(AssertionError, match=said.replace("()", r"\(\)")):
        judge.assert_types_fit(types, facts)


@pytest.mark.parametrize("nothing", [[], ["unknown"], ["untyped"]])
def test_a_metric_without_a_type_is_unknown(types, facts, nothing):
    """Nobody can tell a reset from a fall; what another metric gets wrong still fails."""
    types["process_cpu_seconds_total"] = nothing
    with pytest.raises(Unknown, match="no target declares the type of process_cpu_seconds_total"):
        judge.assert_types_fit(types, facts)
    types["x0tta6bl4_requests_total"] = ["gauge"]
    with pytest.raises(AssertionError):
        judge.assert_types_fit(types, facts)


def test_a_metric_nobody_asked_for_is_unknown(facts):
    """A snapshot of other facts has no answer."""
    with pytest.raises(Unknown, match="nobody asked"):
        judge.assert_types_fit({}, facts)
