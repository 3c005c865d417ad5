"""Whose fault it is: the release's pods against pods of another release, or else against the moment before it.

The trigger is explicit, so what cannot be compared speaks for no side: the responder acts, and says so in its record.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any

from muster.errors import Unknown
from muster.release.monitor import Monitor
from muster.release.symptom import Condition
from muster.system import Environment
from muster.system.promql import fill, is_told_of
from muster.system.units import show

AS_MUCH = 0.8  # of what the release suffers: from here on another release suffers as much
# For all questions together, at true scale: users are being served badly meanwhile, for as long as the alert has waited
# already. What is loaded by the very outage answers late, and an answer may say that the release is not its cause.
PATIENCE_S = 5.0
_LEAST_S = 0.5  # in real time: a network does not run faster at another time scale


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was compared. ``blames`` is None when nothing could be."""

    blames: bool | None  # True: the release suffers more. False: the baseline suffers as much
    message: str
    against: str = ""  # what the baseline is
    release: float | None = None  # the indicator there, in its base unit
    baseline: float | None = None

    def record(self) -> dict[str, Any]:
        """As the audit keeps it."""
        return asdict(self)


def patience_s(env: Environment) -> float:
    """How long Prometheus is waited for, in real seconds."""
    return max(env.scaled(PATIENCE_S), _LEAST_S)


def among(env: Environment, pods: frozenset[str]) -> Environment:
    """The environment as if it were these pods alone, whatever labels their app has."""
    assert env.kubernetes is not None  # noqa: S101 - pods are known of a cluster only
    selector = f'namespace="{env.kubernetes.namespace}",pod=~"{"|".join(sorted(pods))}"'
    return env.model_copy(update={"metric_selector": selector})


def compare(
    monitor: Monitor,
    env: Environment,
    condition: Condition | None,
    *,
    suspects: frozenset[str],
    baseline: frozenset[str],
    released: float,
) -> Comparison:
    """Compare the indicator of an alert between releases; never raises, never takes longer than :func:`patience_s`.

    Args:
        monitor: Where Prometheus is asked.
        env: The environment.
        condition: What the alert stands on.
        suspects: Pods of the release that the alert would have rolled back.
        baseline: Pods of another release that serve beside them; none when only one release is there.
        released: When the release came, seconds since the epoch; 0 when that cannot be told.
    """
    if condition is None:
        return _unknown("the alert is none of the facts'")
    if not env.prometheus:
        return _unknown(f"environment {env.name} declares no Prometheus")
    query, window_s = condition.slo.query, condition.slo.window
    within_s = patience_s(env)
    asked: dict[str, Callable[[], float]] = {}
    if baseline and suspects and not is_told_of(query):
        for name, pods in (("release", suspects), ("other", baseline)):
            asked[name] = _asking(monitor, fill(query, among(env, pods), window_s), within_s)
    if released:
        whole = fill(query, env, window_s)
        asked |= {"now": _asking(monitor, whole, within_s), "before": _asking(monitor, whole, within_s, at=released)}
    if not asked:
        return _unknown("there is no other release beside it, and when it came is not known")
    values, why = _ask(asked, within_s)
    if "release" in values and "other" in values:
        told = _judge(condition, values["release"], values["other"], f"{len(baseline)} pods of another release")
        if told.blames is not None:
            return told
    if "now" in values and "before" in values:
        return _judge(condition, values["now"], values["before"], "the moment before the release")
    return _unknown(why)


def _judge(condition: Condition, release: float, baseline: float, against: str) -> Comparison:
    limit, unit = condition.limit, condition.slo.unit
    shown = f"{condition.name} is {show(release, unit)} with the release and {show(baseline, unit)} at {against}"
    if not limit.holds(release) and not limit.holds(baseline):
        return Comparison(
            blames=None,
            message=f"not compared: {shown}, by now neither over the limit",
            against=against,
            release=release,
            baseline=baseline,
        )
    as_much = baseline >= release * AS_MUCH if limit.above is not None else baseline * AS_MUCH <= release
    return Comparison(blames=not as_much, message=shown, against=against, release=release, baseline=baseline)


def _unknown(why: str) -> Comparison:
    return Comparison(blames=None, message=f"not compared: {why}")


def _asking(monitor: Monitor, query: str, within_s: float, *, at: float | None = None) -> Callable[[], float]:
    return lambda: monitor.value(query, at=at, timeout_s=within_s)


def _ask(asked: dict[str, Callable[[], float]], within_s: float) -> tuple[dict[str, float], str]:
    """The answers that came in time, and why the last of the others did not."""
    pool = ThreadPoolExecutor(len(asked), thread_name_prefix="compare")
    futures: dict[str, Future[float]] = {name: pool.submit(ask) for name, ask in asked.items()}
    done, _ = wait(futures.values(), timeout=within_s)
    pool.shutdown(wait=False, cancel_futures=True)
    values, why = {}, f"Prometheus did not answer within {within_s:g}s"
    for name, future in futures.items():
        if future in done:
            try:
                values[name] = future.result()
            except Unknown as error:
                why = str(error)
    return values, why
