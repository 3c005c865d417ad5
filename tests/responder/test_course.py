"""A restart that meets an error: one that may pass is tried again, one that the API will repeat is the end."""

import threading
import time
from types import SimpleNamespace

import pytest

from muster.kube import KubeError
from muster.responder import course
from muster.responder.course import Course
from muster.responder.lock import Intent
from muster.verdict import Verdict


class Records:
    """A journal and a lock that remember what they were told."""

    def __init__(self):
        self.proven, self.notes, self.released = [], [], 0

    def outcome(self, _intent, _kind):
        return None

    def remedy_started(self, _intent, _command):
        """Not of interest."""

    def remedy_proven(self, _intent, verdict, message):
        self.proven.append((verdict, message))

    def note(self, _intent, message):
        self.notes.append(message)

    def renew(self):
        """Of the lock."""

    def release(self, _last, **_of):
        self.released += 1


@pytest.fixture
def restart(release, monkeypatch):
    """``restart(error, ...)`` -> what was recorded of a restart whose requests meet these errors, then none."""
    monkeypatch.setattr(course, "_RETRIES_S", (0.0, 0.0))
    monkeypatch.setattr(course, "command_for", lambda *_: "kubectl rollout restart")
    healed = SimpleNamespace(verdict=Verdict.PASS, message="3 of 3 replicas ready")
    monkeypatch.setattr(course, "prove_remedy", lambda *_, **__: healed)

    def run(*errors, ago_s=0.0):
        left, told = list(errors), Records()

        def apply(*_, **__):
            if left:
                raise left.pop(0)

        monkeypatch.setattr(course, "apply_remedy", apply)
        world = SimpleNamespace(kube=None, env=SimpleNamespace(freeze=[]), system=None)
        given = {"world": world, "strategy": None, "lock": told, "journal": told, "escalation": None}
        decided_at = time.time() - ago_s
        intent = Intent(alert="A", key="k", bad=release(), target=release(), decided_at=decided_at, remedy="restart")
        Course(**given, stop=threading.Event()).run(intent)
        return told

    return run


@pytest.mark.parametrize("status", [0, 409, 429, 503])
def test_an_error_that_may_pass_is_tried_again(restart, status):
    """A connection that broke, a conflict, an API that is busy: asked twice, the same restart is one."""
    told = restart(KubeError("not now", status=status), KubeError("not now", status=status))
    assert (told.proven, told.released) == ([(Verdict.PASS, "3 of 3 replicas ready")], 1)


def test_an_error_that_lasts_leaves_the_intent_to_be_resumed(restart):
    """In the Lease, held: nobody is told that it failed, because it did not yet."""
    told = restart(*[KubeError("down", status=503)] * 3)
    assert (told.proven, told.released) == ([], 0)
    assert told.notes == ["the restart is tried again: down"]


def test_an_error_that_lasts_too_long_is_a_failure(restart, monkeypatch):
    """A quarter of an hour later people have long been paged."""

    def _away(*_, **__):
        raise KubeError("down", status=503)

    monkeypatch.setattr(course, "is_applied", _away)
    told = restart(*[KubeError("down", status=503)] * 3, ago_s=901.0)
    assert (told.proven, told.released) == ([(Verdict.FAIL, "down")], 1)


def test_a_refusal_is_not_tried_again(restart):
    """Forbidden stays forbidden."""
    told = restart(KubeError("forbidden", status=403))
    assert (told.proven, told.released) == ([(Verdict.FAIL, "forbidden")], 1)
