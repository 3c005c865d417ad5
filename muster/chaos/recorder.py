"""The Chaos Toolkit control that records an experiment and judges it: ``controls: [{provider: {module: this}}]``.

Chaos Toolkit swallows what a control raises, except InterruptExecution; so everything that goes wrong here is turned
into that, or into a failed journal. Its own SIGTERM handler raises an exception that it then takes for a failed
activity, and carries on; ours ends the experiment as Ctrl-C does. While rollbacks run no signal may cut them short.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from typing import Any

from chaoslib.exceptions import InterruptExecution, InvalidActivity
from chaoslib.types import Dry

from muster import ending
from muster.chaos import own, shared, story
from muster.chaos.context import Configuration
from muster.chaos.patience import patience
from muster.chaos.plan import draw
from muster.chaos.recording import Recording
from muster.errors import MusterError
from muster.judge.stopping import Stop
from muster.judge.timeline import Judgement
from muster.verdict import Verdict

logger = logging.getLogger("chaostoolkit")


class _State:
    """Of the one experiment that Chaos Toolkit runs at a time."""

    recording: Recording | None = None
    interrupted: str = ""
    stopped: Stop | None = None
    journal: dict[str, Any] | None = None
    late: AbstractSet[signal.Signals] = frozenset()  # what came while it was healed, and waits
    signals = ExitStack()  # gives the handlers back; chaoslib's controls are modules, and so is their state


def validate_control(control: dict[str, Any]) -> None:
    """The control needs the experiment's name, which is its file's: folders and reports are called so."""
    if not control.get("provider", {}).get("arguments", {}).get("name"):
        raise InvalidActivity("control muster.chaos.recorder needs arguments: {name: <the file's name without .yaml>}")


def before_experiment_control(
    context: dict[str, Any], name: str = "", configuration: Configuration = None, **_: Any
) -> None:
    """Bring users in and watch, before the hypothesis is looked at."""
    _State.recording, _State.interrupted, _State.stopped, _State.journal = None, "", None, None
    _State.late = frozenset()
    if context.get("dry") in (Dry.ACTIONS, Dry.ACTIVITIES):  # the other ways to be dry do break things
        _tell_plan(name, context)
        return
    if threading.current_thread() is threading.main_thread():
        for number in ending.signals():  # a terminal that is closed must not leave anything broken
            _State.signals.callback(signal.signal, number, signal.signal(number, _interrupt))
    try:
        _State.recording = Recording(name, context, configuration, end=_end)
        _State.recording.start()
    except KeyboardInterrupt as error:  # a signal, or a stop condition that held at the first look
        raise InterruptExecution(_State.interrupted) from error
    except Exception as error:  # whatever it is: Chaos Toolkit would swallow it and break things unrecorded
        _State.interrupted = f"the experiment could not begin: {error or type(error).__name__}"
        raise InterruptExecution(_State.interrupted) from error


def _tell_plan(name: str, experiment: dict[str, Any]) -> None:
    """``chaos run --dry actions`` and ``--dry activities``: what would be done; nothing is."""
    try:
        drawn = draw(name, experiment)
    except MusterError as error:
        logger.warning("what would be done cannot be told: %s", error)
        return
    for heading, lines in drawn.parts:
        for line in lines:
            logger.info("%s: %s", heading, line)
    for reason in drawn.refused:
        logger.error("refused: %s", reason)


def before_rollback_control(**_: Any) -> None:
    """From here on everything is bounded and must not be cut short: healing, the last look, the verdict."""
    if _State.recording is not None:
        _State.recording.disarm()
        _let_signals_wait()


def after_experiment_control(state: dict[str, Any], **_: Any) -> None:
    """Judge; a journal whose objectives were not met is a failed one. ``journal["muster"]`` says why."""
    recording, _State.journal = _State.recording, state
    if recording is None or not recording.begun:
        if _State.interrupted:
            state["muster"] = {"verdict": Verdict.UNKNOWN.value, "message": _State.interrupted}
        return
    late = "".join(f"interrupted by {number.name}" for number in sorted(_State.late)[-1:])
    interrupted = _State.interrupted or ("interrupted" if state["status"] == "interrupted" else late)
    try:
        judgement = recording.finish(interrupted=interrupted, stop=_State.stopped, hurry=lambda: bool(_State.late))
    except Exception as error:  # a judge that crashes has proven nothing, and Chaos Toolkit would not even say so
        logger.exception("the recording could not be judged")
        state["status"] = "failed"
        state["muster"] = {"verdict": Verdict.UNKNOWN.value, "message": f"could not be judged: {error}"}
        return
    state["muster"] = _in_short(recording, judgement, interrupted)
    if state["muster"]["verdict"] not in (Verdict.PASS, Verdict.WARN) and state["status"] == "completed":
        state["status"] = "failed"
    for outcome in judgement.outcomes:
        say = logger.info if outcome.verdict in (Verdict.PASS, Verdict.WARN) else logger.error
        say(f"{outcome.verdict.value} {outcome.objective}: {outcome.message}")


def _in_short(recording: Recording, judgement: Judgement, interrupted: str) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict_of(interrupted, _State.stopped).value,
        "stopped": _State.stopped is not None,
        "message": judgement.sentence_of(interrupted),
        "folder": str(recording.folder),
        "broken": judgement.broken,
        "alert": recording.objectives.alert,
        "objectives": [
            {"objective": outcome.objective, "verdict": outcome.verdict.value, "message": outcome.message}
            for outcome in judgement.outcomes
        ],
    }


def cleanup_control() -> None:
    """Called whatever happened: nothing that was started or broken here may outlive the experiment."""
    _let_signals_wait()
    try:
        _heal_own()
        if _State.recording is not None:
            _State.recording.stop()
    finally:
        _State.recording = None
        story.end()
        try:
            _State.signals.close()
        finally:
            _State.journal = None


def _heal_own() -> None:
    """Undo what the rollbacks, if they were played at all, have left. A failure makes the journal a failed one."""
    failure = own.heal_own(logger.warning, last=shared.current() is None)
    if not failure:
        return
    logger.error(failure)
    if _State.journal is not None:  # without one, what cut the experiment short ends the process, too
        _State.journal["status"] = "failed"
        said = _State.journal.setdefault("muster", {})
        said.update(verdict=Verdict.FAIL.value, message=failure)


def _let_signals_wait() -> None:
    _State.late = _State.signals.enter_context(patience(logger.warning, deliver=_deliver))


def _deliver(number: signal.Signals) -> None:
    """What came while it was healed ends the session as it would have ended the method: the journal says so.

    Without a journal it is raised again.
    """
    if _State.journal is None:
        signal.raise_signal(number)
        return
    said = _State.journal.setdefault("muster", {"verdict": Verdict.UNKNOWN.value, "message": "it was not judged"})
    if said.get("stopped"):
        return  # nothing comes after it anyway
    _State.journal["status"] = "interrupted"
    if not said["message"].startswith("interrupted"):
        said["message"] = f"interrupted by {number.name}: {said['message']}"


def _end(stop: Stop) -> None:
    """A stop condition holds: end the method as a SIGTERM would, so that one path heals. Called from a watcher."""
    _State.stopped, _State.interrupted = stop, f"stopped: {stop.reason}"
    logger.error(_State.interrupted)
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _interrupt(number: int, _frame: Any) -> None:
    _State.interrupted = _State.interrupted or f"interrupted by {signal.Signals(number).name}"
    raise KeyboardInterrupt
