"""How many users may ask at once, against systems whose answers a second are known for any number of users."""

from __future__ import annotations

import itertools

import pytest
from concurrency import Concurrency

LOOK_S = 0.25


class Loop:
    """An offered rate, a system (users that wait -> answers a second) and a backlog of what it did not serve."""

    def __init__(self, serves, *, rate, most=1020, begin=68):
        self.users = Concurrency(most)
        for _ in range(begin):
            self.users.joined()
        self.serves, self.rate, self.backlog = serves, rate, 0.0
        self.limits, self.answered, self.short = [], [], []

    def run(self, seconds):
        for _ in range(int(seconds / LOOK_S)):
            limit = self.users.limit
            most = self.serves(limit) * LOOK_S
            wanted = self.backlog + self.rate * LOOK_S
            answers = min(most, wanted)
            self.backlog = min(wanted - answers, self.rate * 5)
            busiest = limit if answers == most else int(limit * answers / max(most, 1))
            self.users.look(LOOK_S, int(answers), full=self.backlog > 0, busiest=busiest)
            self.limits.append(limit)
            self.answered.append(answers / LOOK_S)
            self.short.append(self.users.short)
        return self


def collapsing(users):
    """Up to 5,200 answers a second with some 60 to 100 users, 3,000 with 1,000: contention and crosstalk."""
    return users * 300 / (1 + 0.042 * (users - 1) + 0.000035 * users * (users - 1))


def test_a_full_system_is_not_pushed_over_its_edge():
    """6,800/s offered to what serves 5,200 at best: users stay near those to begin with, and it serves what it can."""
    loop = Loop(collapsing, rate=6800).run(60)
    best = max(map(collapsing, range(1, 1000)))
    assert max(loop.limits) <= 2 * 68
    assert sum(loop.answered) / len(loop.answered) > 0.95 * collapsing(68)
    assert loop.answered[-1] > 0.9 * best
    assert not any(loop.short), "the system held them, not the generator"


def test_a_system_that_wants_more_users_gets_them_at_once():
    """80 ms for every answer, whoever asks: 544 users serve 6,800/s. They are there within 2 s, and stay."""
    loop = Loop(lambda users: users / 0.08, rate=6800).run(10)
    enough = next(number for number, limit in enumerate(loop.limits) if limit >= 544)
    assert enough * LOOK_S <= 2
    assert loop.backlog == 0
    assert loop.answered[-1] == pytest.approx(6800)
    assert any(loop.short), "what waited for users that were wanted is the generator's own doing"
    assert not loop.short[-1]


def test_growth_is_paced():
    """At no look more than twice as many, nor 200 more."""
    limits = Loop(lambda users: users / 0.08, rate=6800).run(5).limits
    assert all(after <= min(2 * before, before + 200) for before, after in itertools.pairwise(limits))


def test_a_system_that_recovers_has_its_users_back():
    """Users that a slow spell wanted are let go when it is over, to those that began."""
    loop = Loop(lambda users: users / 0.08, rate=6800).run(5)
    assert loop.users.limit > 500
    loop.serves = lambda users: users / 0.002
    loop.run(10)
    assert loop.users.limit == 68


def test_users_that_serve_nothing_more_go_again_even_under_overload():
    """A system that changes for the worse with many users in it: fewer are tried, and stay."""
    loop = Loop(lambda users: users / 0.08, rate=6800).run(5)
    loop.serves = collapsing
    loop.run(60)
    assert loop.limits[-1] <= 2 * 68
    assert loop.answered[-1] > 0.9 * collapsing(68)


def test_a_system_that_stands_still_is_not_asked_by_more():
    """No answer at all: nobody is missing."""
    loop = Loop(lambda _: 0, rate=6800).run(20)
    assert set(loop.limits) == {68}
    assert not any(loop.short)


def test_at_the_bound_it_is_the_system():
    """As many as there may be, all waiting: by Little's law it breaks its promise."""
    loop = Loop(lambda users: users / 0.5, rate=6800).run(20)
    assert max(loop.limits) == 1020
    assert not loop.short[-1]


def test_users_that_are_a_given_number_stay_that():
    """A drill's crowd neither grows nor shrinks."""
    loop = Loop(lambda users: users / 0.5, rate=6800, most=50, begin=50).run(20)
    assert set(loop.limits) == {50}
