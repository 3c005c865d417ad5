"""The picture of the whole story."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from muster.drill import picture
from muster.system import load_system
from muster.timeline import Kind
from muster.verdict import Verdict

ALERT = "X0TTA6BL4ErrorRatioRollback"


@pytest.fixture
def draw():
    """Draw a timeline under a caption."""
    limits = picture.Limits(
        error_ratio={"critical": 0.05, "rollback": 0.10}, latency_s={"warning": 0.2, "rollback": 0.5}
    )

    def make(timeline, verdict=Verdict.PASS, message="all objectives were met", rate=None):
        measured = {"window_s": 5.0, "detect_s": 5.4, "user_error_ratio": 0.05, "user_requests": 7000}
        caption = picture.Caption(
            title="A title", verdict=verdict, message=message, measured=measured, alert=ALERT, rate=rate
        )
        return picture.draw(timeline, caption, limits)

    return make


def test_the_story_is_marked_in_order_with_times_after_the_fault(make_story):
    """Fault, alert, page, rollback, proof and recovery; another alert that fired earlier is not this story's."""
    texts = [mark.text for mark in picture.marks(make_story(), ALERT)]
    assert texts == [
        "fault injected",
        "in force +2.0 s",
        "alert firing +7.4 s",
        "on-call paged +7.5 s",
        "rollback +7.6 s",
        "bad release off +9.4 s",
        "proven +9.5 s",
        "recovered +11.0 s",
    ]


def test_no_two_labels_overlap(make_story, draw):
    """Seven marks within four seconds are still read apart, and all within the picture."""
    figure = draw(make_story())
    renderer = figure.canvas.get_renderer()
    labels = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(labels) == 9  # eight marks and the window's name
    assert not any(one.overlaps(other) for one, other in itertools.combinations(labels, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in labels)


def test_names_of_limits_do_not_overlap(make_story, draw):
    """The rungs of a ladder may be close to each other; their names are not."""
    figure = draw(make_story())
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes[1:]:
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_can_be_drawn(make_story, draw, tmp_path, verdict):
    """A failed drill needs its picture most; a long sentence is shortened, not cut off by the edge."""
    figure = draw(make_story(drop=(Kind.ROLLBACK_STARTED,)), verdict, "the chain broke " * 40)
    renderer = figure.canvas.get_renderer()
    assert all(text.get_window_extent(renderer).x1 <= figure.bbox.x1 for text in figure.texts)
    assert picture.save(figure, tmp_path / "story.png").read_bytes().startswith(b"\x89PNG")


def test_a_story_without_users_or_fault_can_be_drawn(make_story, draw, tmp_path):
    """An experiment that could not inject, or asks for no load, has a picture too."""
    everything = tuple(set(Kind) - {Kind.ALERT_PENDING})
    for timeline in (make_story(traffic=False), make_story(drop=everything, traffic=False)):
        picture.save(draw(timeline), tmp_path / "story.png")


def test_limits_come_from_the_facts():
    """The lines are the ladder's own rungs."""
    limits = picture.limits_of(load_system("x0tta6bl4"))
    assert limits.error_ratio["rollback"] == pytest.approx(0.10)
    assert limits.latency_s["rollback"] == pytest.approx(0.5)


def test_the_ordered_rate_and_what_was_never_sent_are_shown(make_story, draw):
    """A line at the rate that was ordered, within the picture, and a shade, which is named, for what was dropped."""
    story = make_story()
    held = [
        replace(event, data=event.data | {"dropped": 300}) if event.kind is Kind.TRAFFIC else event
        for event in story.events
    ]
    axes = draw(replace(story, events=tuple(held)), rate=800.0).axes[1]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["never sent", "failed", "answered", "ordered: 800/s"]
    assert any(list(line.get_ydata()) == [800.0, 800.0] for line in axes.lines)
    assert axes.get_ylim()[1] > 800
    assert "never sent" not in [text.get_text() for text in draw(story).axes[1].get_legend().get_texts()]


def test_a_second_without_any_answer_is_no_second_without_errors(make_story, draw):
    """The curve has a gap there, which is named: a way in that hangs looks unlike one that is well."""
    story = make_story()
    first, *_ = story.of(Kind.TRAFFIC)
    unheard = replace(first, data={**first.data, "requests": 0, "errors": 0})
    events = tuple(unheard if event is first else event for event in story.events)
    errors = draw(replace(story, events=events)).axes[2]
    assert "no answers" in errors.get_legend_handles_labels()[1]
    (curve, *_) = [line for line in errors.lines if len(line.get_ydata()) > 2]
    assert math.isnan(curve.get_ydata()[0])
    assert "no answers" not in draw(story).axes[2].get_legend_handles_labels()[1]
