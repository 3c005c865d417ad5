"""The dispatcher's account of its schedule, in a world whose clock and event loop are the test's own."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import dispatcher
import pytest
from dispatcher import Dispatcher, Slot
from greenlet import GreenletExit, getcurrent, greenlet

LATE_S, GIVE_UP_S, LOOK_S = 0.05, 1.0, 0.25


class World:
    """A clock, and a hub with the timers of an event loop: both move when the test says so."""

    def __init__(self):
        self.now, self.timers, self.hub = 100.0, [], getcurrent()

    @property
    def loop(self):
        return self

    def timer(self, after, repeat=0.0):
        return Timer(self, after, repeat)

    def switch(self):
        return self.hub.switch()

    def wait(self, seconds):
        """For users: the system takes so long."""
        self.timer(seconds).start(getcurrent().switch)
        self.switch()

    def run(self, until):
        """Everything that is to happen until then, at its time."""
        end = 100.0 + until
        while due := [timer for timer in self.timers if timer.at <= end]:
            first = min(due, key=lambda timer: timer.at)
            self.now = max(self.now, first.at)
            first.fire()
        self.now = max(self.now, end)

    def stall(self, seconds):
        """Nothing happens for so long: the machine, or the event loop, stands still."""
        self.now += seconds


class Timer:
    def __init__(self, world, after, repeat):
        self.world, self.at, self.repeat, self.callback = world, world.now + after, repeat, None

    def start(self, callback, update=False):
        self.callback = callback
        self.world.timers.append(self)

    def fire(self):
        self.world.timers.remove(self)
        if self.repeat:
            self.at += self.repeat
            self.world.timers.append(self)
        self.callback()

    def stop(self):
        if self in self.world.timers:
            self.world.timers.remove(self)

    close = stop


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(dispatcher, "get_hub", lambda: made)
    monkeypatch.setattr(dispatcher, "_clock", lambda: made.now)
    return made


class Users:
    """``count`` users of a dispatcher; the system takes ``answers_s`` for each request. ``sent``: (when, slot)."""

    def __init__(self, world, due, *, count, answers_s=0.001, limit=None, short=False, grow=lambda: False):
        self.world, self.answers_s, self.sent, self.ended = world, answers_s, [], []
        allowed = SimpleNamespace(limit=limit or count, short=short, look=lambda *_, **__: None, joined=lambda: None)
        self.dispatcher = Dispatcher(
            iter(due), itertools.cycle([0]), grow=grow, concurrency=allowed,
            late_after_s=LATE_S, give_up_after_s=GIVE_UP_S, look_s=LOOK_S,
        )  # fmt: skip
        self.greenlets = [greenlet(self._live) for _ in range(count)]
        for number, one in enumerate(self.greenlets):
            one.switch(number)
        self.dispatcher.begin()

    def _live(self, number):
        self.dispatcher.joined()
        try:
            while True:
                slot = self.dispatcher.take()
                self.sent.append((round(self.world.now - 100.0, 3), number, slot))
                self.world.wait(self.answers_s)
                self.dispatcher.done()
        except GreenletExit:
            self.ended.append(number)

    @property
    def count(self):
        found = self.dispatcher.count
        return {name: getattr(found, name) for name in found.__slots__ if getattr(found, name)}


def every(seconds, count):
    return [number * seconds for number in range(count)]


def test_what_falls_due_is_sent_at_once_by_who_was_idle_longest(world):
    """Ten a second, three users who have their answers soon: each request when it is due, each user in its turn."""
    users = Users(world, every(0.1, 9), count=3)
    world.run(1.0)
    assert [at for at, _, _ in users.sent] == pytest.approx(every(0.1, 9), abs=0.002)
    assert [number for _, number, _ in users.sent] == [0, 1, 2] * 3
    assert users.count == {"offered": 9, "sent": 9}
    assert users.dispatcher.over


def test_a_generator_that_stood_still_was_late_itself(world):
    """0.2 s in which nothing happens: what was due over 50 ms before its end is late, and no system held it."""
    users = Users(world, every(0.02, 20), count=30)
    world.run(0.1)
    world.stall(0.2)
    world.run(1.0)
    assert users.count == {"offered": 20, "sent": 20, "late": 7}  # due from 0.12 to 0.24; from 0.26 on it is not late
    assert [slot.late for _, _, slot in users.sent].count(True) == 7
    assert users.sent[6][2].due == pytest.approx(100.12), "latency counts from the schedule, not from the stall's end"


def test_what_a_generator_looked_at_too_late_is_dropped_by_itself(world):
    """A stall of 3 s: what is over a second old when it is looked at is never sent, and that is nobody else's doing."""
    users = Users(world, every(0.1, 20), count=30)
    world.run(0.05)
    world.stall(3.0)
    world.run(4.0)
    assert users.count == {"offered": 20, "sent": 1, "dropped": 19}


def test_what_waits_while_the_system_has_every_user_is_held(world):
    """Two users, and 0.3 s for an answer: six or seven a second are served of ten; what waits over 50 ms is held."""
    users = Users(world, every(0.1, 6), count=2, answers_s=0.3)
    world.run(3.0)
    assert users.count == {"offered": 6, "sent": 6, "held": 4}
    assert [at for at, _, _ in users.sent] == pytest.approx([0.0, 0.1, 0.3, 0.4, 0.6, 0.7], abs=0.01)


def test_what_a_system_that_stands_still_let_nobody_send_is_dropped_and_told_apart(world):
    """No answer for 5 s: two requests are with the system, the others are given up a second after they were due."""
    users = Users(world, every(0.1, 12), count=2, answers_s=5.0)
    world.run(1.55)
    assert users.count == {"offered": 12, "sent": 2, "dropped": 3, "held_dropped": 3}
    assert users.dispatcher.waiting == 7
    world.run(2.5)  # the schedule is over: what waits is looked at every quarter of a second
    assert users.count == {"offered": 12, "sent": 2, "dropped": 10, "held_dropped": 10}
    assert users.dispatcher.in_flight == 2
    assert not users.dispatcher.over, "two users still wait for the system"


def test_while_more_users_would_bring_answers_waiting_is_the_generators_own(world):
    """The same, while users are too few: late and dropped, and nothing of it is held against the system."""
    late = Users(world, every(0.1, 6), count=2, answers_s=0.3, short=True)
    world.run(3.0)
    assert late.count == {"offered": 6, "sent": 6, "late": 4}
    dropped = Users(world, every(0.1, 12), count=2, answers_s=5.0, short=True)
    world.run(8.0)
    assert dropped.count == {"offered": 12, "sent": 2, "dropped": 10}


def test_what_was_late_and_then_dropped_counts_once(world):
    """Late when it fell due, and given up because nobody was free for it: it is dropped, and late no more."""
    users = Users(world, every(0.01, 4), count=1, answers_s=9.0)
    world.stall(0.2)
    world.run(0.3)
    assert users.count == {"offered": 4, "sent": 1, "late": 4}
    world.run(2.0)
    assert users.count == {"offered": 4, "sent": 1, "late": 1, "dropped": 3, "held_dropped": 3}


def test_what_waits_longest_is_sent_first(world):
    """A burst of five for one user: in the order in which they were due."""
    users = Users(world, [0.0, 0.01, 0.02, 0.03, 0.04], count=1, answers_s=0.1)
    world.run(2.0)
    dues = [slot.due for _, _, slot in users.sent]
    assert dues == sorted(dues)
    assert len(dues) == 5


def test_no_more_users_wait_for_the_system_than_may(world):
    """Five are idle, two may ask: the others rest, and a limit that grows takes them in at the next look."""
    users = Users(world, every(0.01, 6), count=5, answers_s=0.6, limit=2)
    world.run(0.2)
    assert users.dispatcher.in_flight == 2
    users.dispatcher.concurrency.limit = 4
    world.run(0.3)
    assert users.dispatcher.in_flight == 4


def test_users_are_made_while_requests_wait_for_them(world):
    """Three more may ask than there are: so many are asked for, and no more while those are on their way."""
    asked = []
    Users(world, every(0.01, 9), count=2, answers_s=2.0, limit=5, grow=lambda: not asked.append("one"))
    world.run(0.9)
    assert asked == ["one"] * 3


def test_a_user_that_is_ended_while_it_waits_is_given_nothing(world):
    """Its requests go to the one that is left."""
    users = Users(world, [0.5, 0.6], count=2)
    users.greenlets[0].throw(GreenletExit)
    world.run(1.0)
    assert users.ended == [0]
    assert [number for _, number, _ in users.sent] == [1, 1]


def test_in_the_end_what_waits_is_dropped_and_nothing_more_is_due(world):
    """A run that is stopped accounts for every request that was due."""
    users = Users(world, every(0.1, 100), count=1, answers_s=9.0)
    world.run(0.55)
    users.dispatcher.stop()
    world.run(5.0)
    assert users.count == {"offered": 6, "sent": 1, "dropped": 5, "held_dropped": 5}


def test_a_user_that_somebody_else_wakes_says_so(world):
    """What it was woken with would otherwise be taken for a request."""
    users = Users(world, [9.0], count=1)
    with pytest.raises(TypeError, match="woken by somebody else, with 'a stranger'"):
        users.greenlets[0].switch("a stranger")
    assert Slot(1.0, 0).late is False
