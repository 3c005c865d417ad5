"""Tokens of service accounts, and the accounts themselves: whose they are, and when they end."""

from __future__ import annotations

import time

import pytest

from lab.api.auth.tokens import ISSUER, Tokens


def _ok(answer):
    assert answer.is_success, answer.text
    return answer.json()


def _forbidden(answer):
    body = answer.json()
    assert (answer.status_code, body["reason"]) == (403, "Forbidden"), answer.text
    return body["message"]


def _who(client):
    body = _ok(client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}))
    return body["status"]["userInfo"]


def test_a_token_is_its_account(viewer, http, namespace):
    """Name, uid and groups are the account's."""
    account = http.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/viewer").json()
    info = _who(viewer)
    assert info["username"] == f"system:serviceaccount:{namespace}:viewer"
    assert info["uid"] == account["metadata"]["uid"]
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    assert info["groups"] == groups


def test_a_request_says_how_long_and_for_whom(request_token):
    """Duration and audiences are answered; one hour for the API unless asked otherwise, never under ten minutes."""
    usual = request_token()
    assert usual["spec"] == {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": None}
    made, ends = usual["metadata"]["creationTimestamp"], usual["status"]["expirationTimestamp"]
    assert time.mktime(time.strptime(ends, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(
        time.strptime(made, "%Y-%m-%dT%H:%M:%SZ")
    ) == pytest.approx(3600, abs=1)


def test_a_request_may_be_invalid(http, namespace, request_token):
    """Too short, and for an account or a pod that is not there."""
    request_token()
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/viewer/token"
    short = http.post(path, json={"spec": {"expirationSeconds": 60}})
    assert short.status_code == 422
    assert "may not specify a duration less than 10 minutes" in short.json()["message"]
    missing = http.post(path.replace("viewer", "nobody"), json={})
    assert missing.json()["message"] == 'serviceaccounts "nobody" not found'
    pod = {"kind": "Pod", "apiVersion": "v1", "name": "gone"}
    assert http.post(path, json={"spec": {"boundObjectRef": pod}}).status_code == 404
    assert http.get(path).status_code == 405


def test_a_token_ends_with_its_account(viewer, http, namespace):
    """Deleted, or made anew under the same name: 401."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    http.delete(f"{accounts}/viewer")
    http.post(accounts, json={"metadata": {"name": "viewer"}})
    refused = viewer.get("/version")
    assert (refused.status_code, refused.json()["message"]) == (401, "Unauthorized")


def test_a_token_ends_with_its_pod(http, namespace, request_token, client, pod):
    """Bound to a pod, it says so, and is worth nothing once the pod is gone."""
    collection = f"/api/v1/namespaces/{namespace}/pods"
    made = _ok(http.post(collection, json=pod("one", serviceAccountName="default")))
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "one", "uid": made["metadata"]["uid"]}
    holder = client(request_token("default", boundObjectRef=bound)["status"]["token"])
    assert _who(holder)["extra"]["authentication.kubernetes.io/pod-name"] == ["one"]
    http.request("DELETE", f"{collection}/one", json={"gracePeriodSeconds": 0})
    assert holder.get("/version").status_code == 401
    other = http.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token",
                      json={"spec": {"boundObjectRef": {**bound, "uid": "other"}}})  # fmt: skip
    assert other.status_code == 404


@pytest.mark.parametrize("change", [{"exp": 1}, {"nbf": 1 << 40}, {"aud": ["vault"]}, {"iss": "https://else.where"}])
def test_only_tokens_for_here_and_now_count(change, api_server, http, namespace, client):
    """Over, not yet begun, for another audience, of another issuer: 401, though the signature is ours."""
    account = http.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default").json()["metadata"]
    about = {"namespace": namespace, "serviceaccount": {"name": "default", "uid": account["uid"]}}
    now = int(time.time())
    claims = {"aud": [ISSUER], "exp": now + 60, "nbf": now - 60, "iss": ISSUER, "jti": "1", "kubernetes.io": about}
    tokens = Tokens.load(api_server.state)
    assert client(tokens.sign(claims)).get("/api").status_code == 200
    assert client(tokens.sign({**claims, **change})).get("/api").status_code == 401


def test_forged_tokens_do_not_count(request_token, client):
    """Another key, a changed part, no signature, no token at all: 401."""
    head, body, signature = request_token()["status"]["token"].split(".")
    forged = Tokens().sign({"iss": ISSUER})
    broken = [f"{head}.{body}.", f"{head}.{body[:-4]}AAAA.{signature}", f"{head}.{body}", "a.b.c", ".", b"\xff\xe9"]
    for token in (forged, *broken):
        assert client(token).get("/version").status_code == 401, token


def test_the_key_outlives_the_server(run_api, tmp_path):
    """After a restart, tokens are still good."""
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    with run_api(tmp_path) as server:
        token = server.http.post(path, json={}).json()["status"]["token"]
        server.stop()
    with run_api(tmp_path) as server:
        answer = server.http.get("/api", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
    assert (tmp_path / "pki" / "sa.key").stat().st_mode & 0o777 == 0o600


def test_every_namespace_has_its_default_account(http, namespace):
    """It comes back when it is deleted, and goes with its namespace."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    before = _ok(http.get(path))["metadata"]["uid"]
    http.delete(path)
    assert _ok(http.get(path))["metadata"]["uid"] != before
    http.delete(f"/api/v1/namespaces/{namespace}")
    for _ in range(600):
        if http.get(f"/api/v1/namespaces/{namespace}").status_code == 404:
            break
        time.sleep(0.05)
    assert http.get(path).status_code == 404


def test_a_pod_needs_its_account(http, namespace, pod):
    """A pod of an account that is not there is refused by admission."""
    sent = pod("one", serviceAccountName="nobody")
    message = _forbidden(http.post(f"/api/v1/namespaces/{namespace}/pods", json=sent))
    assert message == (
        f'pods "one" is forbidden: error looking up service account {namespace}/nobody: serviceaccount "nobody"'
        " not found"
    )
