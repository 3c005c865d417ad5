"""Neither a fault nor the users of an experiment end before its alerts could have told, at any time scale."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from muster import faults
from muster.chaos import actions, needs, plan, recording, run, shared
from muster.chaos.actions import infrastructure, releases
from muster.chaos.context import Place
from muster.chaos.recording import LOAD_LIMIT_S, Recording
from muster.errors import UsageError
from muster.judge.objectives import LoadOrder, Objectives, may_act, parse_objectives
from muster.load.allowed import allowed_time
from muster.rules import predict
from muster.system import load_environment, load_system
from muster.system.guard import Guard, LoadBound
from muster.timeline import Kind

EXPERIMENTS = sorted((Path(__file__).resolve().parents[2] / "experiments").glob("*.yaml"))
ELSEWHERE, HERE = "http://staging.example:8080", "http://127.0.0.1:8080"
SLOWEST = "X0TTA6BL4HighCPUUsageCritical"


@pytest.fixture(scope="module")
def system():
    return load_system("x0tta6bl4")


@pytest.fixture(scope="module")
def at(system):
    """``at(scale, http=..., most_time=...)``: staging, at this time scale, where load is allowed for so long."""
    staging = load_environment(system, "staging")

    def make(scale, *, http=ELSEWHERE, most_time="10h"):
        guard = Guard(allow_load=True, load=LoadBound(most_rate="7000/s", most_time=most_time))
        return staging.model_copy(update={"time_scale": float(scale), "http": http, "guard": guard})

    return make


@pytest.fixture
def started(monkeypatch):
    """The loads that were started, none for real: for how many seconds each."""
    limits = []

    class Users:
        def __init__(self):
            self.here = True

        @classmethod
        def start(cls, _env, *, limit_s, **_):
            limits.append(limit_s)
            return cls()

        def failure(self):
            return ""

        def wait_flowing(self):
            pass

        def new_seconds(self):
            return iter(())

        def stop(self):
            self.here = False

    monkeypatch.setattr(shared, "Load", Users)
    monkeypatch.setattr(recording, "Load", Users)
    return limits


load = cache(run.load)  # validated once: Chaos Toolkit imports every provider for it


def promised(file, system):
    extension = next(given for given in load(file)["extensions"] if given["name"] == "muster")
    return parse_objectives(extension, where=file.stem, system=system)


def upper(system, env, names):
    return max((predict.detection(system, env, name).upper_s for name in names if name), default=0.0)


def listened(objectives, system):
    acting = [name for names in may_act(objectives, system).values() for name in names]
    return {objectives.alert, objectives.outlast, *objectives.blind, *acting}


def users_of(system, env, objectives):
    """What a plain run would bring in, without running it."""
    alone = Recording.__new__(Recording)
    alone.objectives, alone.folder = objectives, Path()
    alone._where = Place(system, env)
    return alone._users(objectives.load)


@pytest.mark.parametrize("scale", [1, 60])
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_a_fault_outlasts_what_its_experiment_waits_for(system, at, file, scale):
    """Until it bites, until its alert has told, and until the alert that it must outlast would have."""
    env, objectives = at(scale), promised(file, system)
    steps = [step["provider"] for step in load(file)["method"] if step["provider"].get("func") in actions.ORDERS]
    assert steps
    one_by_one = upper(system, env, [objectives.alert]) + upper(system, env, [objectives.outlast])
    for step in steps:
        usual = actions.ORDERS[step["func"]](env, **step.get("arguments", {}))
        order = usual.outlasting(needs.told_s(objectives, system, env))
        assert order.expires_s >= usual.expires_s
        assert order.expires_s >= 2 * upper(system, env, listened(objectives, system))
        assert order.expires_s >= needs.IN_FORCE_S + env.discovery_s + one_by_one
        assert order.expires_s >= needs.in_force_s(objectives, system, env)


@pytest.mark.parametrize("scale", [1, 60])
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_users_outlast_what_their_experiment_waits_for(system, at, started, file, scale, tmp_path):
    """Their own and a session's: from before the fault until after the slowest alert, the outlasting and recovery."""
    env, objectives = at(scale), promised(file, system)
    assert objectives.load is not None
    slowest = upper(system, env, listened(objectives, system))
    one_by_one = upper(system, env, [objectives.alert]) + upper(system, env, [objectives.outlast])
    around = needs.BEFORE_S + env.discovery_s + (objectives.recovered_within_s or 0.0)
    users_of(system, env, objectives)
    shared.Session(tmp_path).users(env, objectives.load, needed_s=needs.users_s(objectives, system, env))
    own, sessions = started
    assert own >= max(LOAD_LIMIT_S, around + slowest, around + one_by_one)
    assert sessions >= max(shared.LIMIT_S, around + slowest, around + one_by_one)


def test_fixed_times_would_not_do_at_true_scale(system, at):
    """What the two tests above rule out: the slowest alert takes longer than a fault and users stayed before."""
    slowest = upper(system, at(1), [SLOWEST])
    assert slowest > LOAD_LIMIT_S > 600.0
    assert infrastructure.order_inject(at(1), "network_partition").expires_s < slowest
    assert releases.order_release(at(1), image="x").expires_s < slowest


def test_what_grows_until_it_is_seen_is_waited_for_as_long_as_was_promised(system, at):
    """Windows do not predict a leak: its limit counts, over the alert's own window."""
    alert = "X0TTA6BL4MemoryExhaustion"
    slow = Objectives.model_validate({"alert": alert, "gradual": True, "detect_within": "2h"})
    assert needs.told_s(slow, system, at(1)) >= 7200.0


def test_an_expiry_that_the_experiment_gives_wins(at):
    """Shorter or longer than alerts take."""
    given = infrastructure.order_inject(at(1), "network_partition", expires="90s")
    assert given.outlasting(1260.0).expires_s == 90.0
    assert releases.order_release(at(1), image="x", expires="2h").outlasting(1260.0).expires_s == 7200.0


@pytest.mark.parametrize(
    ("module", "act"),
    [
        (infrastructure, lambda: actions.inject("network_partition")),
        (infrastructure, actions.kill_pods),
        (releases, lambda: actions.release(image="x")),
    ],
    ids=["inject", "kill_pods", "release"],
)
def test_actions_inject_for_as_long_as_the_recorded_experiment_needs(monkeypatch, story, at, module, act):
    """They know it from the story that the recorder began."""

    class AskedError(Exception):
        pass

    def inject(*_, expires_s, **__):
        raise AskedError(expires_s)

    on = SimpleNamespace(env=at(1), system=SimpleNamespace(name="x"), ledger=None, kube=None)
    monkeypatch.setattr(module, "field", lambda _: nullcontext(on))
    monkeypatch.setattr(faults, "inject", inject)
    story.tell(Kind.DRILL_STARTED, source="muster", told_s=1257.25)
    with pytest.raises(AskedError) as asked:
        act()
    assert asked.value.args == (2515,)


def test_users_with_too_little_time_left_are_replaced(at, started, tmp_path):
    """Those that can stay for the next experiment stay; else it would end with a dead load generator."""
    order, session = LoadOrder(rate=100, users=10), shared.Session(tmp_path)
    first = session.users(at(1), order, needed_s=300.0)
    assert session.users(at(1), order, needed_s=1700.0) is first
    session.until = time.monotonic() + 299.0
    second = session.users(at(1), order, needed_s=300.0)
    assert second is not first
    assert (first.here, second.here) == (False, True)
    assert session.users(at(1), order, needed_s=1700.0) is second
    third = session.users(at(1), order, needed_s=2000.0)
    assert third is not second
    assert started == [1800.0, 1800.0, 3000.0]


def test_the_guards_time_is_enough_where_it_covers_the_need(at):
    """As long as is wanted, or as the guard lets; this very machine has no bound."""
    env = at(1, most_time="10m")
    assert allowed_time(env, rate=100, needed_s=200.0, wanted_s=400.0) == 400.0
    assert allowed_time(env, rate=100, needed_s=600.0, wanted_s=1800.0) == 600.0
    with pytest.raises(UsageError, match=r"600 s at most \(guard.load.most_time\).* needs its users for up to 601 s"):
        allowed_time(env, rate=100, needed_s=601.0, wanted_s=1800.0)
    with pytest.raises(UsageError, match="7000 requests/s at most"):
        allowed_time(env, rate=7001, needed_s=1.0, wanted_s=1.0)
    assert allowed_time(at(1, http=HERE, most_time="10m"), rate=1e6, needed_s=601.0, wanted_s=1800.0) == 1800.0


@pytest.mark.parametrize("most_time", ["1m", "10m", "20m", "45m"])
@pytest.mark.parametrize("scale", [1, 60])
def test_a_plan_and_a_run_get_the_same_answer_of_the_guard(system, at, started, scale, most_time, tmp_path):
    """A plain run, a session and the dry run: yes to all, or one sentence that all of them say."""
    env = at(scale, most_time=most_time)
    where = Place(system, env)
    for file in EXPERIMENTS:
        objectives, refused = promised(file, system), []
        needed_s = needs.users_s(objectives, system, env)
        words = plan._users(where, objectives, refused)
        assert bool(refused) == (needed_s > env.guard.load.most_time_s)
        assert words.startswith("not possible now: " if refused else f"{objectives.load.users} users send "), file
        session = shared.Session(tmp_path)
        assert refused == said(lambda given=objectives: users_of(system, env, given)), file
        assert refused == said(lambda o=objectives.load, n=needed_s, s=session: s.users(env, o, needed_s=n)), file
    assert all(limit_s <= env.guard.load.most_time_s for limit_s in started)


def said(bring):
    """Why no users came, if none did."""
    try:
        bring()
    except UsageError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize(("scale", "most_time"), [(1, "45m"), (60, "10m")])
def test_the_documented_bounds_let_every_drill_begin(system, at, started, scale, most_time):
    """docs/drill.md: off loopback, 45 minutes of load do at true scale and ten at 60, and are never overdrawn."""
    env = at(scale, most_time=most_time)
    for file in EXPERIMENTS:
        users_of(system, env, promised(file, system))
    assert len(started) == len(EXPERIMENTS)
    assert max(started) <= env.guard.load.most_time_s
