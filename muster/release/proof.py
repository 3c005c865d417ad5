"""Whether a rollback really rolled back: a pure judgement of one look, repeated within a bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from muster.errors import Unknown
from muster.kube import Kube, KubeError
from muster.release.known import read_known
from muster.release.model import Release, look, short, source_of
from muster.system import Environment
from muster.verdict import Verdict
from muster.wait import TimedOut, wait_until
from muster.workload import Workload, digest_of, hash_of, is_terminating, revision


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What became of a rollback, with one sentence of evidence."""

    verdict: Verdict
    message: str
    revision: int  # the revision that serves; the target's old one when it is not known to serve
    digests: tuple[str, ...]
    took_s: float


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One look at a rollback. ``verdict`` None means not yet; ``if_never`` is what it is when that stays so."""

    verdict: Verdict | None
    message: str
    traffic_off: bool  # no serving pod of the bad release is left
    terminating: int = 0  # pods of other releases on their way out
    revision: int = 0
    digests: frozenset[str] = frozenset()
    replicas: int = 0
    if_never: Verdict = Verdict.FAIL
    unchanged: bool = False  # the Deployment still asks for the bad release


def judge(
    seen: Workload, *, bad: Release, target: Release, container: str, recorded: frozenset[str] = frozenset()
) -> Stage:
    """Judge one look at the workload after a rollback from ``bad`` to ``target``.

    Args:
        seen: The Deployment, its ReplicaSets and pods.
        bad: The release that was rolled back, as it was before.
        target: The release that should serve now.
        container: The container whose image is the build.
        recorded: Digests that the target was seen with when it served before; empty when it never was seen.
    """
    off = not any(hash_of(pod) == bad.template_hash for pod in seen.serving())
    going = sum(hash_of(pod) != target.template_hash for pod in seen.pods if is_terminating(pod))

    def _stage(verdict: Verdict | None, message: str, *, if_never: Verdict = Verdict.FAIL) -> Stage:
        return Stage(verdict=verdict, message=message, traffic_off=off, terminating=going, if_never=if_never)

    now = seen.current
    if now is not None and hash_of(now) == bad.template_hash:
        message = f"the rollback changed nothing: deployment {seen.name} still asks for revision {bad.revision}"
        return replace(_stage(Verdict.FAIL, message), unchanged=True)
    if now is not None and hash_of(now) != target.template_hash:
        return _stage(
            Verdict.FAIL,
            f"deployment {seen.name} asks for revision {revision(now)}, not for the target: it was released over",
        )
    lacks = _lacks(seen, target)
    if now is None or lacks:
        return _stage(None, lacks or "the controller has not taken up the target yet")
    if not seen.wanted:
        return _stage(
            Verdict.UNKNOWN, f"deployment {seen.name} is scaled to 0, so nothing serves and nothing is proven"
        )
    digests = [digest_of(pod, container) for pod in seen.serving()]
    if not all(digests):
        return _stage(None, f"a ready pod reports no image id for container {container}", if_never=Verdict.UNKNOWN)
    verdict, message = judge_digests(frozenset(digests), bad=bad, target=target, recorded=recorded)
    return Stage(
        verdict=verdict,
        message=message,
        traffic_off=off,
        terminating=going,
        revision=revision(now),
        digests=frozenset(digests),
        replicas=len(digests),
    )


def _lacks(seen: Workload, target: Release) -> str:
    shortfall = seen.shortfall()
    if shortfall:
        return shortfall
    others = sum(hash_of(pod) != target.template_hash and not is_terminating(pod) for pod in seen.pods)
    if others:
        return f"{others} pods of another release are left"
    ready = len(seen.serving())
    return "" if ready == seen.wanted else f"{ready} of {seen.wanted} pods ready"


def judge_digests(
    digests: frozenset[str], *, bad: Release, target: Release, recorded: frozenset[str]
) -> tuple[Verdict, str]:
    """Every ready pod has the target's template; is it also the target's build? With what it is, in words.

    One image on both sides (a release that differs in configuration alone) has one digest on most clusters, so equal
    digests speak against the rollback only where the images differ or the record says otherwise.
    """
    foreign = digests - recorded
    if recorded and foreign:
        return Verdict.FAIL, (
            f"{short(foreign)} serves, but revision {target.revision} was recorded as {short(recorded)}: "
            "its image has moved"
        )
    same = digests & bad.digests
    if same and bad.images != target.images:
        return Verdict.FAIL, (
            f"the rollback changed nothing: {short(same)} still serves, the build of bad revision {bad.revision}"
        )
    if recorded:
        return Verdict.PASS, f"{short(digests)}, as recorded for it"
    if same:
        return Verdict.PASS, f"{short(digests)}, the image of the bad revision too; they differ in configuration"
    return Verdict.PASS, f"{short(digests)}, other than the bad release's {short(bad.digests) or 'unknown build'}"


def prove(
    kube: Kube,
    env: Environment,
    *,
    bad: Release,
    target: Release,
    timeout_s: float,
    tick: Callable[[Stage], None] | None = None,
    every_s: float = 0.1,
    effect_within_s: float = 0.0,
) -> Proof:
    """Look until the rollback is proven or refuted, at most ``timeout_s`` seconds.

    ``tick`` is told every stage that could be read; what it raises ends the proof. Nothing is raised for what is seen:
    not finished in time is FAIL with the last state, and what cannot be read is UNKNOWN. A rollback that was asked of
    somebody else may take ``effect_within_s`` until the Deployment asks for another release.
    """
    started = time.monotonic()
    source = source_of(env)
    recorded: list[frozenset[str]] = []  # read once, as soon as it can be

    def _look() -> Stage:
        if not recorded:
            known = read_known(kube, source.namespace, source.deployment)
            recorded.append(known[target.template_hash].digests if target.template_hash in known else frozenset())
        stage = judge(look(kube, env), bad=bad, target=target, container=source.container, recorded=recorded[0])
        if stage.unchanged and time.monotonic() - started < effect_within_s:
            return replace(stage, verdict=None)
        return stage

    def _praise(stage: Stage, took_s: float) -> str:
        return (
            f"revision {stage.revision} (was {target.revision}) serves on all {stage.replicas} replicas after "
            f"{took_s:.1f}s, build {stage.message}"
        )

    return until_judged(_look, timeout_s=timeout_s, tick=tick, praise=_praise, target=target, every_s=every_s)


def until_judged(
    look_once: Callable[[], Stage],
    *,
    timeout_s: float,
    tick: Callable[[Stage], None] | None,
    praise: Callable[[Stage, float], str],
    target: Release,
    every_s: float = 0.1,
) -> Proof:
    """Look until a stage has a verdict, at most ``timeout_s`` seconds; ``praise`` makes the sentence of a PASS."""
    started = time.monotonic()
    stages: list[Stage] = []

    def _look() -> Stage:
        stages.clear()
        stage = look_once()
        if tick is not None:
            tick(stage)
        stages.append(stage)
        return stage

    try:
        stage = wait_until(
            _look,
            lambda stage: stage.verdict is not None,
            what="the rollback did not finish",
            timeout_s=timeout_s,
            every_s=every_s,
            show=lambda stage: stage.message,
            tolerate=(KubeError, Unknown),
        )
    except TimedOut as error:
        took_s = time.monotonic() - started
        verdict = stages[-1].if_never if stages else Verdict.UNKNOWN
        message = str(error) if stages else f"the rollback could not be judged within {timeout_s:g}s: {error.last}"
        return Proof(verdict=verdict, message=message, revision=target.revision, digests=(), took_s=took_s)
    took_s = time.monotonic() - started
    assert stage.verdict is not None  # noqa: S101 - that is what was waited for
    return Proof(
        verdict=stage.verdict,
        message=praise(stage, took_s) if stage.verdict is Verdict.PASS else stage.message,
        revision=stage.revision or target.revision,
        digests=tuple(sorted(stage.digests)),
        took_s=took_s,
    )
