"""Which file a bearer token is read from: Alertmanager's pod and the machine that drills are two places."""

import pytest

from muster.errors import Unknown
from muster.system import Environment
from muster.trust import bearer


@pytest.fixture
def make(tmp_path):
    """An environment whose Alertmanager finds the responder's token where this machine has nothing."""
    (tmp_path / "token").write_text("of-the-responder\n")

    def _make(**changes):
        given = {"responder": "http://127.0.0.1:1", "responder_token_file": "/etc/alertmanager/secrets/no-such-token"}
        return Environment.model_validate({"name": "live", "description": "", **given, **changes})

    return _make


def test_audit_is_read_with_the_token_of_this_machine(make, tmp_path):
    """And Alertmanager goes on reading its own file."""
    env = make(token_files={"responder": str(tmp_path / "token")})
    assert bearer(env, "responder") == {"Authorization": "Bearer of-the-responder"}
    assert env.responder_token_file.startswith("/etc/alertmanager/")


def test_without_one_of_its_own_it_is_alertmanagers(make, tmp_path):
    """As in the lab, where both are this machine; a file that is not there is named."""
    assert bearer(make(responder_token_file=str(tmp_path / "token")), "responder")
    with pytest.raises(Unknown, match="no-such-token"):
        bearer(make(), "responder")


def test_health_of_the_responder_is_asked_without_a_token(make):
    """It needs none, and where smoke runs there may be none."""
    env = make(prometheus="http://127.0.0.1:2", token_files={"responder": "/no/such", "prometheus": "/p"})
    assert env.tokens == {"http://127.0.0.1:2": "/p"}
