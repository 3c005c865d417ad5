"""A responder that cannot be asked is not waited for."""

import pytest

from muster.chaos import cooldown
from muster.system import Environment


@pytest.mark.parametrize("file", ["", "/no/such/token"])
def test_what_cannot_be_asked_is_not_waited_for(file):
    """Nobody listens there, or its token cannot be read: whether it works is for the experiment to show."""
    given = {"responder": "http://127.0.0.1:1", "responder_token_file": file}
    env = Environment.model_validate({"name": "live", "description": "", **given})
    assert cooldown._last_rollback(env, since=0) == 0.0
