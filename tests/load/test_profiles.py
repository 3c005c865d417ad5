"""What may be offered, where, and how profiles say it."""

from __future__ import annotations

import pytest

from muster.errors import UsageError
from muster.judge.seconds import Step
from muster.load import plan as plans
from muster.load.allowed import allowed_host
from muster.load.profile import load_profile
from muster.system import load_system
from muster.system.environment import Environment, Guard
from muster.system.guard import LoadBound


@pytest.fixture(scope="module")
def system():
    return load_system("x0tta6bl4")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """``write(text)`` -> the profile ``mine`` of a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "loadtests" / "profiles"
    folder.mkdir(parents=True)

    def made(text):
        (folder / "mine.yaml").write_text(text)
        return load_profile("mine")

    return made


@pytest.mark.parametrize("name", ["smoke", "target", "soak", "step", "spike"])
def test_every_profile_makes_a_schedule(system, name):
    """Each has a positive rate and a length; the plan has users enough to prove the promised latency broken."""
    profile = load_profile(name)
    steps = profile.steps(system)
    assert all(step.duration_s > 0 and step.requests >= 0 for step in steps)
    assert 0 <= profile.warm_up_of(system, sum(step.duration_s for step in steps)) < sum(s.duration_s for s in steps)
    plan = plans.make(system, Environment(name="e", description="e"), steps)
    assert plan.most_users >= plan.peak * system.slo["latency_p95"].objective.bound


def test_target_and_smoke_are_what_is_promised(system):
    """The target profile holds the target for a minute; smoke takes ten seconds."""
    last = load_profile("target").steps(system)[-1]
    assert (last.duration_s, last.first, last.last) == (60, system.slo["throughput"].target.bound, 6800)
    assert sum(step.duration_s for step in load_profile("smoke").steps(system)) == 10


def test_rate_and_duration_stretch_a_profile(system):
    """The peak becomes the rate, the length the duration, and the shape stays."""
    spike = load_profile("spike").steps(system, rate=300, duration_s=11)
    assert max(step.first for step in spike) == pytest.approx(300)
    assert min(step.first for step in spike) == pytest.approx(99)
    assert sum(step.duration_s for step in spike) == pytest.approx(11)


def test_steps_climb_to_the_last_rate(system, write):
    """From 1,000 to 3,000 by 1,000 are three steps."""
    profile = write("title: t\nparts: [{for: 5s, from: 1000/s, to: 3000/s, by: 1000/s}]\n")
    assert [step.first for step in profile.steps(system)] == [1000, 2000, 3000]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: t\nparts: [{for: 5s, rate: 6800/h}]\n", r"mine.yaml:2: .*is not a quantity in per_second"),
        ("title: t\nparts: [{for: 5s, rate: 1/s, to: 2/s, from: 1/s}]\n", "either a rate, or from and to"),
        ("title: t\nparts: []\n", "parts"),
        ("title: t\nparts: [{fro: 5s, rate: 1/s}]\n", "unknown key; did you mean 'from'"),
        ("title: t\nparts: [{for: 5s\n", "not YAML"),
    ],
)
def test_a_mistake_in_a_profile_is_one_sentence_with_its_place(write, text, words):
    """File, line, key and what was expected."""
    with pytest.raises(UsageError, match=words):
        write(text)


def test_an_unknown_profile_offers_those_that_there_are():
    """The near one first."""
    with pytest.raises(UsageError, match=r"no load profile 'smok': did you mean 'smoke'\? known: .*target"):
        load_profile("smok")


def test_a_climb_that_never_ends_is_refused(system, write):
    """Steps by nothing, or downwards."""
    profile = write("title: t\nparts: [{for: 5s, from: 100/s, to: 50/s, by: 10/s}]\n")
    with pytest.raises(UsageError, match="no climb"):
        profile.steps(system)


def at(url, **guard):
    return Environment(name="far", description="d", http=url, guard=Guard(allow_load=True, **guard))


def test_what_is_not_this_machine_needs_a_bound():
    """Without guard.load no request is sent there; within it, up to its rate and time."""
    url = "http://staging.example:8080"
    with pytest.raises(UsageError, match="bounds no load"):
        allowed_host(at(url), rate=1, time_s=1)
    bounded = at(url, load=LoadBound(most_rate="1000/s", most_time="5m"))
    assert allowed_host(bounded, rate=1000, time_s=300) == url
    with pytest.raises(UsageError, match="1000 requests/s at most, not 1001"):
        allowed_host(bounded, rate=1001, time_s=1)
    with pytest.raises(UsageError, match="for 300 s at most, not 301"):
        allowed_host(bounded, rate=1, time_s=301)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_loopback_needs_none(host):
    """Whoever loads this machine hurts nobody else."""
    assert allowed_host(at(f"http://{host}:80"), rate=1e6, time_s=1e6) == f"http://{host}:80"


def test_a_token_in_a_home_that_nobody_has_stays_as_it_is_written(system):
    """The file is missing, as whoever reads it says; making the plan breaks over nothing."""
    env = Environment(name="e", description="e", token_files={"http": "~no-such-user/token"}, http="http://h")
    plan = plans.make(system, env, [Step(duration_s=1.0, first=1.0, last=1.0)])
    assert plan.token_file.endswith("/~no-such-user/token")
