"""``muster load``: does the system hold the load that it promises, and can the answer be trusted?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from muster.errors import UsageError

if TYPE_CHECKING:
    from muster.judge.load import LoadJudgement
    from muster.judge.seconds import LoadRun
    from muster.load.plan import Plan
    from muster.report import Summary
    from muster.system import Environment, System

INTERRUPTED = 130


@click.command()
@click.argument("profile", default="target")
@click.option("--system", "system_name", envvar="MUSTER_SYSTEM", default="x0tta6bl4", show_default=True)
@click.option("--env", "env_name", envvar="MUSTER_ENV", default="lab", show_default=True)
@click.option("--rate", metavar="R", help="Requests per second at the profile's peak, as 6800 or 6800/s.")
@click.option("--duration", metavar="D", help="How long, as 90s or 5m.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that share it.")
@click.option("--listen", metavar="HOST:PORT", default="", help="Wait here for workers on other machines.")
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), help="Write the outputs here.")
def command(
    profile: str,
    *,
    system_name: str,
    env_name: str,
    rate: str | None,
    duration: str | None,
    workers: int,
    listen: str,
    run_dir: Path | None,
) -> int:
    """Send the load of PROFILE (loadtests/profiles) in an open loop and judge it.

    Exit code 0: the system holds it; 1: it does not; 6: the generator was the bottleneck, or something else cannot be
    known; 4: cannot be used; 130: interrupted, what was measured is kept.
    """
    from muster.cli import lab
    from muster.load.profile import load_profile
    from muster.system import load_system

    system = load_system(system_name)
    chosen = load_profile(profile)
    steps = chosen.steps(system, rate=_rate(rate), duration_s=_duration(duration))
    with lab.terminable(), _world(system, env_name) as env:
        from muster.load import plan as plans

        plan = plans.make(
            system,
            env,
            steps,
            arrivals=chosen.arrivals,
            seed=chosen.seed,
            warm_up_s=chosen.warm_up_of(system, sum(step.duration_s for step in steps)),
        )
        return _load(
            system,
            env,
            plan,
            profile=profile,
            kind=chosen.kind,
            workers=workers,
            listen=_address(listen),
            run_dir=run_dir,
        )


def _load(
    system: System,
    env: Environment,
    plan: Plan,
    *,
    profile: str,
    kind: str,
    workers: int,
    listen: str,
    run_dir: Path | None,
) -> int:
    from muster.judge import knee
    from muster.judge.load import judge
    from muster.load import before, session
    from muster.load.allowed import allowed_host
    from muster.load.memory import Memory
    from muster.load.progress import Progress
    from muster.report import run_folder
    from muster.verdict import exit_code

    before.look(env, plan, allowed_host(env, rate=plan.peak, time_s=plan.duration_s))
    run = run_dir.resolve() if run_dir else run_folder("load", system.name, env.name)
    run.mkdir(parents=True, exist_ok=True)
    started = time.time()
    progress = Progress(plan)
    with progress.shown(), Memory(system, env, wanted=kind == "soak") as memory:
        shown = knee.broken if kind == "step" else session.never
        recorded = session.run(env, plan, run, workers=workers, listen=listen, told=progress.told, shown=shown)
    judged = judge(recorded, system, kind=kind, memory=memory.samples)
    summary = _leave(run, system, env, plan, run=recorded, judged=judged, profile=profile, started=started)
    progress.verdict(f"{system.name}/{env.name}  load {profile}", summary.verdict, judged, run)
    return INTERRUPTED if recorded.partial == session.INTERRUPTED else exit_code(summary.verdict)


def _leave(
    folder: Path,
    system: System,
    env: Environment,
    plan: Plan,
    *,
    run: LoadRun,
    judged: LoadJudgement,
    profile: str,
    started: float,
) -> Summary:
    """Write every output."""
    from muster.load import document, picture
    from muster.report import Skip, Summary, allure, junit, results

    stopped = time.time()
    skipped = tuple(Skip(check=check, reason=reason, section="Load") for check, reason in judged.skipped)
    summary = Summary(
        command="load",
        system=system.name,
        environment=env.name,
        started=started,
        duration_s=stopped - started,
        findings=tuple(judged.findings),
        skipped=skipped,
        interrupted=run.partial,
    )
    summary.write(folder)
    junit.write(folder, summary, {finding.check: plan.duration_s for finding in judged.findings})
    body = document.document(
        run, judged, plan, verdict=summary.verdict, profile=profile, system=system.name, environment=env.name
    )
    files = {"load.json": document.write(folder, body)}
    title = f"{system.name}/{env.name}   load {profile}: {judged.achieved_rps:,.0f} of {plan.peak:,.0f} requests/s"
    pictures = picture.draw(folder, run, title + (" (partial)" if run.partial else ""), summary.verdict, system)
    results.write(
        folder / allure.FOLDER,
        system,
        judged.findings,
        skipped,
        attachments=pictures | files,
        started=started,
        stopped=stopped,
    )
    allure.write_environment(folder / allure.FOLDER, {"system": system.name, "environment": env.name, "http": env.http})
    allure.write_executor(folder / allure.FOLDER, folder.name)
    return summary


@contextmanager
def _world(system: System, env_name: str) -> Iterator[Environment]:
    """The environment, running: an embedded one is brought up for the run if it has to be, and then taken down."""
    from muster.cli import lab
    from muster.system import load_environment

    if not system.environments.get(env_name, {}).get("embedded"):
        yield load_environment(system, env_name)
        return
    with lab.running(system.name, say=lambda words: click.echo(f"lab: {words}", err=True)):
        yield load_environment(system, env_name)


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"--listen: {text!r} is no address; write it like 0.0.0.0:5557")
    return text


def _rate(text: str | None) -> float | None:
    return _parsed(text if text is None or "/" in text else f"{text}/s", "per_second", "--rate")


def _duration(text: str | None) -> float | None:
    return _parsed(text, "seconds", "--duration")


def _parsed(text: str | None, unit: Any, option: str) -> float | None:
    from muster.system.units import Unit, parse_quantity

    if text is None:
        return None
    try:
        value = parse_quantity(text, Unit(unit))
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if value <= 0:
        raise UsageError(f"{option}: {text!r} is nothing to send")
    return value
