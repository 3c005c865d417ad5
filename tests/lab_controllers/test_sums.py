"""What autoscaler, quota and disruption budget compute, without an API."""

import time
from fractions import Fraction

import pytest

from lab.controllers.autoscaling import MetricError, Recommendations, Target, Usage, bounded, propose, usage_of
from lab.controllers.disruption import selects, wanted
from lab.controllers.quota import exact, used, written
from lab.objects import timestamp

OLD = timestamp(time.time() - 3600)
CPU = Target("cpu", utilization=50)


def pod(name, *, phase="Running", ready="True", request="200m", started=OLD):
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": started}]
    resources = {"requests": {"cpu": request}} if request else {}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "resources": resources}]},
        "status": {"phase": phase, "startTime": started, "conditions": conditions},
    }


def usage(**cores):
    return {name: Usage(value, time.time(), 1.0) for name, value in cores.items()}


@pytest.mark.parametrize(
    ("cores", "replicas"),
    [
        ((0.1, 0.1), 2),  # exactly 50%
        ((0.109, 0.109), 2),  # within the tolerance of 10%
        ((0.112, 0.112), 3),
        ((0.2, 0.2), 4),
        ((0.02, 0.02), 1),
        ((0.4, 0.0), 4),  # of the mean, not of the worst
    ],
)
def test_replicas_follow_the_mean_share_of_the_request(cores, replicas):
    """Two pods that ask for 200m and aim at half of it."""
    proposal = propose(CPU, 2, [pod("a"), pod("b")], usage(a=cores[0], b=cores[1]))
    assert proposal.replicas == replicas
    assert proposal.utilization == int(round(sum(cores) / 0.4 * 100, 6))


def test_an_average_value_needs_no_request():
    """AverageValue aims at cores per pod."""
    pods = [pod("a", request=None), pod("b", request=None)]
    assert propose(Target("cpu", average=0.1), 2, pods, usage(a=0.3, b=0.3)).replicas == 6
    with pytest.raises(MetricError, match="missing request for cpu in container main of Pod a"):
        propose(CPU, 2, pods, usage(a=0.3, b=0.3))


def test_pods_without_metrics_argue_against_every_change():
    """Unknown use counts as all of the request when scaling down, as none when scaling up."""
    pods = [pod("a"), pod("b")]
    assert propose(CPU, 2, pods, usage(a=0.02)).replicas == 2
    assert propose(CPU, 2, pods, usage(a=0.2)).replicas == 2
    assert propose(CPU, 2, pods, usage(a=0.4)).replicas == 4


def test_young_unready_pods_do_not_count_as_load():
    """What a pod burns to start is no reason for more of them; deleted and failed pods are nothing."""
    young = timestamp(time.time() - 2)
    pods = [pod("a"), pod("b", ready="False", started=young)]
    assert propose(CPU, 2, pods, usage(a=0.1, b=2.0)).replicas == 2
    pods = [pod("a"), pod("c", phase="Failed"), pod("d") | {"metadata": {"name": "d", "deletionTimestamp": OLD}}]
    assert propose(CPU, 1, pods, usage(a=0.3, c=9.0, d=9.0)).replicas == 3
    with pytest.raises(MetricError, match=r"did not receive metrics for targeted pods \(pods might be unready\)"):
        propose(CPU, 2, [pod("b", ready="False", started=young)], usage(b=1.0))
    with pytest.raises(MetricError, match="no pods returned by selector"):
        propose(CPU, 2, [], {})


def test_a_pods_usage_is_the_sum_of_its_containers():
    """A pod of which one container is unknown is unknown."""
    item = {"metadata": {"name": "a"}, "timestamp": OLD, "window": "1m0.5s"}
    both = item | {"containers": [{"usage": {"cpu": "100m"}}, {"usage": {"cpu": "5000000n"}}]}
    half = item | {"containers": [{"usage": {"cpu": "100m"}}, {"usage": {}}]}
    assert usage_of([both], "cpu")["a"].value == pytest.approx(0.105)
    assert usage_of([both], "cpu")["a"].window_s == 60.5
    assert usage_of([half], "cpu") == {}


def test_a_dip_does_not_shrink_a_workload_before_its_window_is_over():
    """Down only to the highest of the last five seconds; up at once, unless a window is asked for."""
    lately = Recommendations()
    windows = {"down_s": 5.0, "up_s": 0.0}
    assert lately.stabilized(4, 2, **windows, now_s=0.0) == 4  # the size itself was the first recommendation
    assert lately.stabilized(4, 3, **windows, now_s=3.0) == 4
    assert lately.stabilized(4, 1, **windows, now_s=5.5) == 3
    assert lately.stabilized(3, 7, **windows, now_s=6.0) == 7
    assert lately.stabilized(7, 1, **windows, now_s=12.0) == 1
    patient = Recommendations()
    assert patient.stabilized(2, 6, down_s=0.0, up_s=3.0, now_s=0.0) == 2
    assert patient.stabilized(2, 5, down_s=0.0, up_s=3.0, now_s=4.0) == 5


@pytest.mark.parametrize(
    ("current", "desired", "result"),
    [
        (2, 3, (3, "DesiredWithinRange")),
        (2, 1, (2, "TooFewReplicas")),
        (6, 20, (10, "TooManyReplicas")),
        (3, 9, (6, "ScaleUpLimit")),
        (1, 9, (4, "ScaleUpLimit")),
    ],
)
def test_bounds_and_the_pace_of_growth(current, desired, result):
    """Between 2 and 10, and at most doubled or four."""
    limits = bounded(current, desired, 2, 10)
    assert (limits.replicas, limits.reason) == result


@pytest.mark.parametrize(
    ("name", "amounts", "text"),
    [
        ("cpu", ["100m", "900m"], "1"),
        ("requests.cpu", ["100m", "1"], "1100m"),
        ("cpu", ["0.5m"], "1m"),
        ("memory", ["64Mi", "128Mi"], "192Mi"),
        ("limits.memory", ["1Gi", "1Gi"], "2Gi"),
        ("memory", ["1M", "1Ki"], "1001024"),
        ("memory", [], "0"),
        ("pods", ["1", "1", "1"], "3"),
    ],
)
def test_sums_are_written_as_the_api_writes_them(name, amounts, text):
    """Exact sums, canonical quantities."""
    assert written(name, sum((exact(amount) for amount in amounts), Fraction(0))) == text


def test_finished_pods_are_charged_for_nothing():
    """Succeeded and Failed hold no room; running and pending ones do."""
    total = used([pod("a"), pod("b", phase="Pending"), pod("c", phase="Succeeded"), pod("d", phase="Failed")])
    assert (total["pods"], total["requests.cpu"], total["cpu"]) == (2, Fraction(2, 5), Fraction(2, 5))


@pytest.mark.parametrize(
    ("spec", "present", "scale", "result"),
    [
        ({"minAvailable": 3}, 2, 5, (2, 3)),
        ({"minAvailable": "50%"}, 2, 5, (5, 3)),
        ({"maxUnavailable": 1}, 2, 5, (5, 4)),
        ({"maxUnavailable": "25%"}, 5, 5, (5, 3)),
        ({"maxUnavailable": 9}, 5, 5, (5, 0)),
    ],
)
def test_how_many_must_remain(spec, present, scale, result):
    """A number of pods counts those that are there; shares and maxUnavailable count what is wanted."""
    assert wanted(spec, present, scale) == result


def test_an_empty_selector_protects_every_pod_and_a_missing_one_none():
    """As policy/v1 has it."""
    budget = {"spec": {"selector": {}}}
    assert selects(budget, {"metadata": {}})
    assert not selects({"spec": {}}, {"metadata": {"labels": {"app": "web"}}})
    assert selects({"spec": {"selector": {"matchLabels": {"app": "web"}}}}, {"metadata": {"labels": {"app": "web"}}})
