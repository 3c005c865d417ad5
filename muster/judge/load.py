"""Does the system hold the load that it promises, and can the answer be trusted? Pure.

Latency counts from when a request was due, so that a system that stalls cannot hide it by being asked less (coordinated
omission: Tene, How NOT to Measure Latency, 2013). A generator that was the bottleneck turns every finding but proven
errors into UNKNOWN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from muster.judge import drift, generator
from muster.judge.knee import Knee, find
from muster.judge.seconds import LoadRun, LoadSecond, kinds, latency, percentile_ms, service
from muster.system.model import Slo, System
from muster.verdict import Finding, Verdict

KEPT = 0.999  # of a rate: full seconds cut requests in two at either end
DEAD_S = 3  # so many seconds at the end without one good answer: the system died


@dataclass(frozen=True, kw_only=True)
class LoadJudgement:
    """Findings, what was not asked (check -> reason), and the numbers of the run."""

    findings: Sequence[Finding]
    skipped: Sequence[tuple[str, str]]
    offered_rps: float
    achieved_rps: float
    missed_ratio: float
    errors: int
    requests: int
    latency_ms: dict[str, float | None]  # p50, p95, p99, max; from the intended time
    service_ms: dict[str, float | None]  # the same from sending: what a closed loop would report
    first_failure_s: float | None  # since the schedule's begin
    died_s: float | None
    knee: Knee | None
    drift: drift.Drift | None


def judge(
    run: LoadRun,
    system: System,
    *,
    kind: str = "constant",
    memory: Sequence[tuple[float, float]] | None = None,
) -> LoadJudgement:
    """Judge a run against the system's ladder.

    Args:
        run: What was recorded.
        system: Its SLOs ``throughput``, ``latency_p95`` and ``error_ratio`` are the limits; one that is missing is
            skipped.
        kind: What the profile is for: ``constant``, ``step`` (find the knee) or ``soak`` (judge drift).
        memory: (epoch seconds, bytes) samples of the largest replica, for a soak.
    """
    limits = _Limits(system)
    knee, before = None, list[Finding]()
    if kind == "step":
        knee = find(run, latency_limit_s=limits.latency_s or 1.0, error_limit=limits.errors or 1.0)
        judged: list[tuple[str, Finding | str]] = [("load.knee", _knee(knee, limits, run.enough))]
    else:
        doubts = generator.trouble(run, run.measured, latency_limit_s=limits.latency_s)
        full = generator.machine_full(run.measured, latency_limit_s=limits.latency_s)
        why = full or (f"the generator was the bottleneck: {doubts[0]}" if doubts else "")
        judged = [
            ("load.throughput", _throughput(run, limits, why)),
            ("load.latency", _latency(run, limits, why)),
            ("load.errors", _errors(run, limits, why)),
        ]
        unsure = any(isinstance(found, Finding) and found.verdict is Verdict.UNKNOWN for _, found in judged)
        before = [_generator(run, doubts, full if unsure or doubts else "")]
    drifted = drift.measure(run, memory or ()) if kind == "soak" else None
    if drifted is not None:
        judged += drift.judge(drifted, system)
    return LoadJudgement(
        findings=[*before, *(found for _, found in judged if isinstance(found, Finding))],
        skipped=[(check, reason) for check, reason in judged if isinstance(reason, str)],
        offered_rps=_per_second(run.full, "offered"),
        achieved_rps=_achieved(run.full),
        missed_ratio=generator.missed_ratio(run.full),
        errors=sum(second.errors for second in run.measured),
        requests=sum(second.requests for second in run.measured),
        latency_ms=_percentiles(latency(run.measured)),
        service_ms=_percentiles(service(run.measured)),
        first_failure_s=_first_failure(run),
        died_s=_died(run),
        knee=knee,
        drift=drifted,
    )


class _Limits:
    """The rungs that a load run is held against, in seconds, shares and requests/s; None where there is none."""

    def __init__(self, system: System) -> None:
        self.throughput = system.slo.get("throughput")
        self.latency = system.slo.get("latency_p95")
        self.error = system.slo.get("error_ratio")
        self.rate, self.latency_s, self.errors = map(_objective, (self.throughput, self.latency, self.error))
        aim = self.throughput.target if self.throughput else None
        self.target = aim.bound if aim else None


def _objective(slo: Slo | None) -> float | None:
    return slo.objective.bound if slo is not None and slo.objective is not None else None


def _generator(run: LoadRun, doubts: Sequence[str], full: str) -> Finding:
    said = generator.offered_all(run)
    found = [*doubts, said] if said else list(doubts)
    if found or full:
        blamed = [full] if full else []
        blamed += [f"the generator was the bottleneck, {'; '.join(found)}"] if found else []
        message = f"this run proves nothing: {'; '.join(blamed)}"
        able = _per_second(run.full, "sent")
        return _finding("load.generator", Verdict.UNKNOWN, f"{message} (it sent {able:,.0f} of {run.peak:,.0f}/s)")
    missed, lag = generator.missed_ratio(run.full), max((second.lag_ms for second in run.full), default=0.0)
    busiest = max((second.cpu for second in run.full), default=0.0)
    return _finding(
        "load.generator",
        Verdict.PASS,
        f"the load was offered as planned, {missed:.2%} missed, {busiest:.0%} of a core, stalls of {lag:.0f} ms",
    )


def _throughput(run: LoadRun, limits: _Limits, why: str) -> Finding | str:
    if limits.throughput is None or limits.rate is None:
        return "the system promises no throughput"
    if run.peak < limits.rate:
        return f"{run.peak:,.0f}/s were offered: the promise of {limits.rate:,.0f}/s was not tested"
    tested = run.asking(limits.rate)
    if not tested:
        message = f"in no whole second {limits.rate:,.0f} requests were due all along"
        return _finding("load.throughput", Verdict.UNKNOWN, message, limits.throughput)
    achieved, offered = _achieved(tested), _per_second(tested, "offered")
    words = f"{achieved:,.0f} of {offered:,.0f} requests/s were served"
    words += (
        f" in the {len(tested)} of {len(run.full)} s that asked for the promise" if len(tested) < len(run.full) else ""
    )
    if achieved >= KEPT * limits.rate:
        aim = min(limits.target, offered) if limits.target is not None and run.peak >= limits.target else None
        short = aim is not None and achieved < KEPT * aim and not why
        verdict = Verdict.WARN if short else Verdict.PASS
        tail = f", under the target of {limits.target:,.0f}/s" if short else f" (promised: {limits.rate:,.0f}/s)"
        return _finding("load.throughput", verdict, words + tail, limits.throughput)
    message = f"{words}, under the {limits.rate:,.0f}/s that are promised"
    return _doubted("load.throughput", message, why, limits.throughput)


def _latency(run: LoadRun, limits: _Limits, why: str) -> Finding | str:
    if limits.latency is None or limits.latency_s is None:
        return "the system promises no latency"
    measured, held = latency(run.measured), sum(second.held_dropped for second in run.measured)
    if percentile_ms(measured, 95) is None:
        return _finding("load.latency", Verdict.UNKNOWN, "nothing was answered, so there is no latency", limits.latency)
    p95_ms = percentile_ms(measured, 95, longer=held)
    limit_ms = limits.latency_s * 1000
    if p95_ms is None:
        message = f"over 5% of the requests were never sent, because no user was free ({held:,}): P95 is longer than "
        return _doubted("load.latency", f"{message}any that was measured, over {limit_ms:g} ms", why, limits.latency)
    if p95_ms < limit_ms:
        message = f"P95 from the intended time is {p95_ms:.4g} ms, under {limit_ms:g} ms"
        return _finding("load.latency", Verdict.PASS, message, limits.latency)
    message = f"P95 from the intended time is {p95_ms:,.4g} ms, over the {limit_ms:g} ms that are promised"
    return _doubted("load.latency", message, why, limits.latency)


def _errors(run: LoadRun, limits: _Limits, why: str) -> Finding | str:
    if limits.error is None or limits.errors is None:
        return "the system promises nothing about errors"
    held = sum(second.held_dropped for second in run.measured)
    asked = sum(second.requests for second in run.measured) + held
    failed = sum(second.errors for second in run.measured) + held
    if not asked:
        return _finding("load.errors", Verdict.UNKNOWN, "no request was answered or failed", limits.error)
    found = kinds(run.measured)
    if held:
        found[generator.HELD] = held
    if failed / asked < limits.errors:
        message = f"{failed:,} of {asked:,} requests failed, under {limits.errors:g} of them"
        return _finding("load.errors", Verdict.PASS, message, limits.error)
    died = _died(run)
    when = f"; from {died:.0f} s on every request failed" if died is not None else ""
    certain = Counter({kind: count for kind, count in found.items() if not kind.startswith(generator.DOUBTFUL)})
    sure = certain.total() / asked >= limits.errors
    named = certain if sure else found
    most = f"; {named.most_common(1)[0][1]:,} times: {named.most_common(1)[0][0]}" if named else ""
    message = f"{failed / asked:.2%} of {asked:,} requests failed, over {limits.errors:.1%}{most}{when}"
    return _doubted("load.errors", message, "" if sure else why, limits.error)


def _knee(knee: Knee, limits: _Limits, ended: str) -> Finding | str:
    if limits.rate is None:
        return "the system promises no throughput"
    promised, beyond = limits.rate, knee.beyond
    at = f"it holds {knee.rate:,.0f} requests/s" if knee.rate else "it does not hold the first step"
    if beyond is not None:
        at += f", at {beyond.rate:,.0f}/s no more: {beyond.why}"
    at += f"; {ended}" if ended else ""
    if not knee.steps or (knee.rate < promised and (beyond is None or beyond.generator)):
        return _finding("load.knee", Verdict.UNKNOWN, f"{at}; {promised:,.0f}/s were not tested", limits.throughput)
    verdict = Verdict.PASS if knee.rate >= promised else Verdict.FAIL
    tail = "" if knee.exact else "; the knee is there or higher"
    return _finding("load.knee", verdict, f"{at} (promised: {promised:,.0f}/s){tail}", limits.throughput)


def _doubted(check: str, message: str, why: str, slo: Slo) -> Finding:
    """FAIL, or UNKNOWN when the generator or its machine may be what failed (``why``)."""
    if not why:
        return _finding(check, Verdict.FAIL, message, slo)
    return _finding(check, Verdict.UNKNOWN, f"{message}; but {why}", slo)


def _finding(check: str, verdict: Verdict, message: str, slo: Slo | None = None) -> Finding:
    return Finding(check=check, verdict=verdict, message=message, runbook=slo.runbook if slo else "", section="Load")


def _achieved(seconds: Sequence[LoadSecond]) -> float:
    """Requests a second that were answered as expected."""
    return sum(second.requests - second.errors for second in seconds) / len(seconds) if seconds else 0.0


def _per_second(seconds: Sequence[LoadSecond], key: str) -> float:
    return sum(getattr(second, key) for second in seconds) / len(seconds) if seconds else 0.0


def _percentiles(found: object) -> dict[str, float | None]:
    return {
        "p50": percentile_ms(found, 50),
        "p95": percentile_ms(found, 95),
        "p99": percentile_ms(found, 99),
        "max": percentile_ms(found, 100),
    }


def _first_failure(run: LoadRun) -> float | None:
    """Seconds from the schedule's begin to the second with the first failure, warm-up included."""
    failed = (second.at for second in run.seconds if second.at >= run.began and (second.errors or second.held_dropped))
    at = next(failed, None)
    return None if at is None or not run.scheduled else float(at - run.began)


def _died(run: LoadRun) -> float | None:
    """When the system died: from this second on no request was answered as expected, to the schedule's end."""
    died: int | None = None
    for second in reversed(run.scheduled):
        if second.requests > second.errors:
            break
        died = second.at
    if died is None or run.scheduled[-1].at - died + 1 < DEAD_S:
        return None
    return float(died - run.began)
