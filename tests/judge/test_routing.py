"""The routing tree is walked as Alertmanager walks it; amtool is the judge."""

import shutil
import subprocess

import pytest
import yaml

from muster.errors import Unknown
from muster.judge.routing import Matcher, matchers, routes
from muster.read.alertmanager import _route

CONFIG = {
    "route": {
        "receiver": "root",
        "routes": [
            {"receiver": "responder", "matchers": ['action="rollback"'], "continue": True},
            {
                "receiver": "db",
                "matchers": ['team=~"db|sql"'],
                "routes": [
                    {"matchers": ['severity="critical"']},
                    {"receiver": "quiet", "matchers": ['severity!~"c.*"']},
                ],
            },
            {"receiver": "security", "matchers": ['tell="on-call,security"', 'mode!=""']},
            {"receiver": "web", "matchers": ["team=web"]},
        ],
    },
    "receivers": [{"name": name} for name in ("root", "responder", "db", "quiet", "security", "web")],
}
LABELS = [
    {},
    {"team": "web"},
    {"team": "webs"},
    {"action": "rollback"},
    {"action": "rollback", "team": "web"},
    {"team": "db"},
    {"team": "sql", "severity": "critical"},
    {"team": "db", "severity": "warning"},
    {"tell": "on-call,security", "mode": "x"},
    {"tell": "on-call,security"},
]


@pytest.mark.skipif(shutil.which("amtool") is None, reason="the program amtool is not installed")
@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_the_walk_ends_where_amtool_ends(labels, tmp_path):
    """For each set of labels the receivers are those that Alertmanager's own tool names."""
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(CONFIG))
    command = ["amtool", "config", "routes", "test", f"--config.file={file}", *(f"{k}={v}" for k, v in labels.items())]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    receivers = {receiver["name"]: ["webhook"] for receiver in CONFIG["receivers"]}
    tree = routes({"route": _route(CONFIG["route"]), "receivers": receivers, "responder": True})
    assert ",".join(tree.reached_by(labels)) == said


def test_a_receiver_that_tells_nobody_is_not_reached():
    """A route to a receiver without integrations is a route to nobody."""
    tree = routes({"route": _route({"receiver": "null"}), "receivers": {"null": []}, "responder": False})
    assert tree.reached_by({"a": "b"}) == []


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ('a="b"', [("a", "=", "b")]),
        ("a=b", [("a", "=", "b")]),
        ('{a="x,y",b!~"c|d"}', [("a", "=", "x,y"), ("b", "!~", "c|d")]),
        (r'a="say \"hi\""', [("a", "=", 'say "hi"')]),
        ('a=""', [("a", "=", "")]),
    ],
)
def test_matchers_are_read_as_written(text, parsed):
    """Quotes, commas in values, braces and escapes."""
    assert [(m.name, m.operator, m.value) for m in matchers(text)] == parsed


def test_a_matcher_that_cannot_be_read_is_unknown():
    """Guessing who is paged is not an answer."""
    with pytest.raises(Unknown, match="cannot be judged"):
        list(matchers('a="b" or c'))
    with pytest.raises(Unknown, match="cannot be judged"):
        Matcher("a", "=~", "(").matches({"a": "x"})
