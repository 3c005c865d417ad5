"""Selectors as queries write them."""

from __future__ import annotations

import pytest

from lab.api.errors import ApiError
from lab.api.selectors import field_predicate, label_predicate, labels_match, labels_text


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("app in (web, api)", True),
        ("app notin (web)", False),
        ("tier", True),
        ("!tier", False),
        ("missing notin (a)", True),
        ("n>3", True),
        ("n<3", False),
        ("app=web,missing", False),
        ("", True),
    ],
)
def test_labels(text, selected):
    """Equality, sets, existence and comparison, joined by commas."""
    predicate = label_predicate(text)
    body = {"metadata": {"labels": {"app": "web", "tier": "front", "n": "4"}}}
    assert (predicate is None or predicate(body)) is selected


def test_a_selector_that_cannot_be_read_is_400():
    """The message says what was found in place of an operator."""
    with pytest.raises(ApiError, match=r"found 'b', expected: in, notin, =, ==, !=, gt, lt") as caught:
        label_predicate("a b c")
    assert caught.value.code == 400


def test_fields():
    """Known fields are compared as text; unknown ones are refused."""
    body = {"metadata": {"name": "a"}, "spec": {"unschedulable": True}}
    fields = {"spec.unschedulable": "spec.unschedulable"}
    assert field_predicate("spec.unschedulable=true,metadata.name!=b", fields)(body)
    with pytest.raises(ApiError, match=r"field label not supported: spec\.foo"):
        field_predicate("spec.foo=bar", fields)
    with pytest.raises(ApiError, match=r'"spec\.foo" is not a known field selector: only "metadata\.name"'):
        field_predicate("spec.foo=bar", {})


def test_a_label_selector_object():
    """The object form, as text and as a test of labels."""
    selector = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "In", "values": ["x", "y"]}]}
    assert labels_text(selector) == "a=1,b in (x,y)"
    assert labels_match(selector, {"a": "1", "b": "y"})
    assert not labels_match(selector, {"a": "1"})
