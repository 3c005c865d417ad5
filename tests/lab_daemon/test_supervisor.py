"""Components are started, watched and ended, and what fails is shown, not hidden."""

import asyncio
import signal

import pytest

from lab.daemon import records
from lab.errors import LabError

SLEEP = "import time; time.sleep(60)"


def test_a_component_counts_as_running_once_it_is_ready(supervise, component, tmp_path):
    """start() returns when the component's own condition holds, not when its process exists."""
    flag = tmp_path / "flag"

    async def flagged():
        return "" if flag.exists() else "no flag"

    async def story(supervisor):
        await supervisor.start("one")
        assert flag.exists()
        return supervisor.describe()[0]["state"]

    code = f"import time, pathlib; time.sleep(.2); pathlib.Path({str(flag)!r}).touch(); time.sleep(60)"
    assert supervise(story, component("one", code, ready=flagged)) == "running"


def test_a_component_that_dies_while_starting_is_named_with_its_last_words(supervise, component):
    """The sentence holds the component, its exit code and the last line of its log."""

    async def never():
        return "not ready"

    async def story(supervisor):
        await supervisor.start("prometheus")

    with pytest.raises(LabError, match=r"^prometheus ended with exit code 3: address already in use$"):
        supervise(story, component("prometheus", "print('address already in use'); raise SystemExit(3)", ready=never))


def test_the_line_marked_as_error_outranks_the_last_line(supervise, component):
    """Programs that say goodbye after their error are quoted with the error."""

    async def never():
        return "not ready"

    async def story(supervisor):
        await supervisor.start("prometheus")

    code = "print('level=error err=\"bad rule\"'); print('level=info msg=bye'); raise SystemExit(1)"
    with pytest.raises(LabError, match="bad rule"):
        supervise(story, component("prometheus", code, ready=never))


def test_a_component_that_never_gets_ready_is_named_with_what_is_missing(supervise, component):
    """Time is bounded, and the error carries the last state seen."""

    async def never():
        return "nobody listens on 1234"

    async def story(supervisor):
        await supervisor.start("sink", timeout_s=0.3)

    with pytest.raises(LabError, match=r"sink was not ready within 0 s: nobody listens on 1234"):
        supervise(story, component("sink", SLEEP, ready=never))


def test_what_did_not_get_ready_is_not_left_in_the_way(supervise, component):
    """A component that missed its time is ended, so that the next start does not run beside it."""

    async def never():
        return "still loading"

    async def story(supervisor):
        with pytest.raises(LabError, match="still loading"):
            await supervisor.start("sink", timeout_s=0.2)
        return supervisor.describe()[0]

    shown = supervise(story, component("sink", SLEEP, ready=never))
    assert (shown["state"], shown["pid"], shown["exit_code"]) == ("stopped", None, -signal.SIGTERM)


def test_a_component_can_be_stopped_while_it_starts(supervise, component):
    """Whoever waits for it is told so at once, not when time is over."""

    async def never():
        return "still loading"

    async def story(supervisor):
        starting = asyncio.create_task(supervisor.start("sink"))
        async with asyncio.timeout(20):
            while supervisor.describe()[0]["state"] != "starting":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        await supervisor.stop("sink")
        async with asyncio.timeout(10):
            await starting

    with pytest.raises(LabError, match=r"^sink was stopped while it was starting$"):
        supervise(story, component("sink", SLEEP, ready=never))


def test_a_crash_is_shown_as_failed_and_not_restarted(supervise, component, tmp_path):
    """A lab that hides crashes lies: the component stays failed and says why."""
    flag = tmp_path / "flag"

    async def story(supervisor):
        await supervisor.start("agent")
        flag.touch()
        await supervisor.failed.wait()
        return supervisor.describe()[0], supervisor.failure()

    code = (
        f"import time, pathlib\nwhile not pathlib.Path({str(flag)!r}).exists(): time.sleep(.01)\n"
        "raise SystemExit('boom')"
    )
    shown, sentence = supervise(story, component("agent", code))
    assert (shown["state"], shown["pid"], shown["exit_code"]) == ("failed", None, 1)
    assert sentence == "agent ended with exit code 1: boom"


def test_what_is_stopped_on_purpose_has_not_failed(supervise, component, folder):
    """stop() is sabotage by a person, not a crash; the process and its record are gone."""

    async def story(supervisor):
        await supervisor.start("haproxy")
        assert len(records.read_all(folder.records)) == 1
        await supervisor.stop("haproxy")
        assert records.read_all(folder.records) == []
        return supervisor.describe()[0]["state"], supervisor.failed.is_set()

    assert supervise(story, component("haproxy", SLEEP)) == ("stopped", False)


def test_a_stopped_component_can_be_started_again(supervise, component):
    """Stop and start are a pair."""

    async def story(supervisor):
        await supervisor.start("sink")
        first = supervisor.describe()[0]["pid"]
        await supervisor.stop("sink")
        await supervisor.start("sink")
        return first, supervisor.describe()[0]

    first, shown = supervise(story, component("sink", SLEEP))
    assert shown["state"] == "running"
    assert shown["pid"] != first


def test_a_component_that_ignores_sigterm_is_killed(supervise, component, tmp_path):
    """stop() returns after the grace period, whatever the process thinks of it."""
    flag = tmp_path / "flag"

    async def flagged():
        return "" if flag.exists() else "no flag"

    async def story(supervisor):
        await supervisor.start("one")
        await supervisor.stop("one")
        return supervisor.describe()[0]

    code = (
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f" pathlib.Path({str(flag)!r}).touch(); time.sleep(60)"
    )
    shown = supervise(story, component("one", code, ready=flagged, grace_s=0.2))
    assert (shown["state"], shown["exit_code"]) == ("stopped", -signal.SIGKILL)


def test_a_program_that_is_not_there_is_one_sentence(supervise, component, folder):
    """A missing binary names the component and the program."""
    from lab.daemon.supervisor import Component

    async def story(supervisor):
        await supervisor.start("prometheus")

    with pytest.raises(LabError, match=r"prometheus cannot be started \(/nowhere/prometheus\): No such file"):
        supervise(story, Component(name="prometheus", argv=("/nowhere/prometheus",)))


def test_an_unknown_component_is_refused_with_the_known_ones(supervise, component):
    """A typo is answered with what there is."""

    async def story(supervisor):
        await supervisor.stop("promtheus")

    with pytest.raises(LabError, match="no component 'promtheus'; it has api, sink"):
        supervise(story, component("api", SLEEP), component("sink", SLEEP))
