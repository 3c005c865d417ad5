"""``load.json``: what a load run measured, and how it was judged. Stable; described in docs/outputs.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from muster.judge.load import LoadJudgement
from muster.judge.seconds import LoadRun, LoadSecond, kinds, latency, percentile_ms, service
from muster.load.history import names
from muster.load.plan import Plan
from muster.verdict import Verdict

SCHEMA = "muster/load/v1"
FILE = "load.json"
_SECOND = (
    "at", "offered", "sent", "late", "dropped", "held", "held_dropped", "users", "requests", "errors",
    "p50_ms", "p95_ms", "p99_ms", "service_p95_ms", "cpu", "machine", "lag_ms", "stalled_ms", "exhausted",
    "reports", "workers",
)  # fmt: skip


def document(
    run: LoadRun, judged: LoadJudgement, plan: Plan, *, verdict: Verdict, profile: str, system: str, environment: str
) -> dict[str, Any]:
    """The body. Times are epoch seconds, ``*_s`` counts from the schedule's begin."""
    began = run.began or None
    return {
        "schema": SCHEMA,
        "verdict": verdict.value,
        "system": system,
        "environment": environment,
        "profile": profile,
        "partial": run.partial,
        "enough": run.enough,
        "started": datetime.fromtimestamp(began, UTC).isoformat() if began else None,
        "offered_rps": round(judged.offered_rps, 2),
        "achieved_rps": round(judged.achieved_rps, 2),
        "missed_ratio": round(judged.missed_ratio, 6),
        "requests": judged.requests,
        "errors": judged.errors,
        **{f"{name}_ms": value for name, value in judged.latency_ms.items()},
        "service_ms": judged.service_ms,
        "first_failure_s": judged.first_failure_s,
        "died_s": judged.died_s,
        "knee": asdict(judged.knee) if judged.knee is not None else None,
        "drift": asdict(judged.drift) if judged.drift is not None else None,
        "findings": [{**asdict(finding), "verdict": finding.verdict.value} for finding in judged.findings],
        "errors_by_kind": dict(kinds(run.measured).most_common(20)),
        "workers": run.workers,
        "plan": plan.described(),
        "endpoints": {name: _endpoint(run.measured, name) for name in names(run.seconds)},
        "seconds": [_second(one, run) for one in run.seconds],
    }


def write(folder: Path, body: dict[str, Any]) -> Path:
    """Write it into the run folder."""
    file = folder / FILE
    file.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def _endpoint(seconds: Sequence[LoadSecond], name: str) -> dict[str, Any]:
    told = [second.endpoints[name] for second in seconds if name in second.endpoints]
    found, served = latency(seconds, name), service(seconds, name)
    return {
        "requests": sum(one.requests for one in told),
        "errors": sum(one.errors for one in told),
        **{f"p{q}_ms": percentile_ms(found, q) for q in (50, 95, 99)},
        "service_p95_ms": percentile_ms(served, 95),
        "histogram": found.encode().decode(),  # HdrHistogram V2, base64, microseconds from the intended time
        "service_histogram": served.encode().decode(),
    }


def _second(one: LoadSecond, run: LoadRun) -> dict[str, Any]:
    found = latency([one])
    return {
        **{key: getattr(one, key) for key in _SECOND},
        "second": one.at - run.began if run.scheduled else None,
        "histogram": found.encode().decode() if one.requests else None,
    }
