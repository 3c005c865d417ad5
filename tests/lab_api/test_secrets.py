"""Secrets: their form, their type, and that nobody else reads them."""

from __future__ import annotations

MERGE = {"Content-Type": "application/merge-patch+json"}


def _ok(answer):
    assert answer.is_success, answer.text
    return answer.json()


def test_secrets_keep_their_type_and_their_form(http, namespace):
    """Plain data is encoded once, data must be base64, a type asks for its keys and never changes."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    made = _ok(http.post(path, json={"metadata": {"name": "s"}, "stringData": {"a": "x"}, "data": {"a": "eQ=="}}))
    assert (made["data"], "stringData" in made, made["type"]) == ({"a": "eA=="}, False, "Opaque")
    odd = http.post(path, json={"metadata": {"name": "odd"}, "data": {"a": "no base64!"}})
    assert (odd.status_code, "illegal base64 data at input byte 2" in odd.json()["message"]) == (400, True)
    changed = http.patch(f"{path}/s", json={"type": "other"}, headers=MERGE)
    assert 'type: Invalid value: "other": field is immutable' in changed.json()["message"]
    bare = http.post(path, json={"metadata": {"name": "t"}, "type": "kubernetes.io/tls"}).json()
    assert [cause["field"] for cause in bare["details"]["causes"]] == ["data[tls.crt]", "data[tls.key]"]
    _ok(http.patch(f"{path}/s", json={"immutable": True}, headers=MERGE))
    for patch in ({"immutable": None}, {"stringData": {"a": "z"}}):
        assert http.patch(f"{path}/s", json=patch, headers=MERGE).status_code == 422


def test_secrets_and_tokens_stay_out_of_the_log(api_server, http, namespace, request_token):
    """Neither a secret's value, nor a token, nor the reason for refusing one, is in the server's log."""
    token = request_token()["status"]["token"]
    path = f"/api/v1/namespaces/{namespace}/secrets"
    for value in ("aHVzaC1odXNo", "hush-hush!"):
        http.post(path, json={"metadata": {"name": "s"}, "data": {"a": value}})
    log = (api_server.state / "api.log").read_text()
    assert not any(word in log for word in ("aHVzaC1odXNo", "hush-hush", token))
