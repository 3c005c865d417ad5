"""What roles allow, as whom one may ask, and what reviews answer."""

from __future__ import annotations

RBAC = "/apis/rbac.authorization.k8s.io/v1"
MERGE = {"Content-Type": "application/merge-patch+json"}
READER = [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]}]


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


def test_roles_allow_and_nothing_else_does(viewer, http, namespace, grant):
    """Granted and taken away at once; verbs, subresources, namespaces and the cluster are told apart."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    user = f'User "system:serviceaccount:{namespace}:viewer"'
    words = f'pods is forbidden: {user} cannot list resource "pods" in API group "" in the namespace "{namespace}"'
    assert _forbidden(viewer.get(pods)) == words
    grant(READER)
    assert viewer.get(pods).status_code == 200
    assert viewer.get(f"{pods}/none").status_code == 404
    assert f'{user} cannot delete resource "pods"' in _forbidden(viewer.delete(f"{pods}/none"))
    assert 'cannot deletecollection resource "pods"' in _forbidden(viewer.delete(pods))
    assert 'cannot create resource "pods/eviction"' in _forbidden(viewer.post(f"{pods}/none/eviction", json={}))
    assert viewer.get(f"{pods}/none/log").status_code == 404
    assert 'cannot list resource "pods" in API group "" at the cluster scope' in _forbidden(viewer.get("/api/v1/pods"))
    assert 'in the namespace "default"' in _forbidden(viewer.get("/api/v1/namespaces/default/pods"))
    watch = viewer.get(f"/apis/apps/v1/namespaces/{namespace}/deployments?watch=true&fieldSelector=metadata.name=web")
    assert _forbidden(watch).startswith(f'deployments.apps "web" is forbidden: {user} cannot watch resource')
    http.delete(f"{RBAC}/namespaces/{namespace}/rolebindings/reader")
    assert _forbidden(viewer.get(pods)) == words


def test_names_and_stars(viewer, http, namespace, grant):
    """A rule may be about names only, also for lists of one name; */scale is the scale of everything."""
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    grant([
        {"apiGroups": ["*"], "resources": ["deployments"], "resourceNames": ["web"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["get"]},
    ])  # fmt: skip
    assert viewer.get(f"{deployments}/web").status_code == 404
    assert viewer.get(f"{deployments}?fieldSelector=metadata.name%3Dweb").status_code == 200
    _forbidden(viewer.get(deployments))
    _forbidden(viewer.get(f"{deployments}/other"))
    assert viewer.get(f"{deployments}/other/scale").status_code == 404
    _forbidden(viewer.get(f"{deployments}/other/status"))


def test_paths_that_are_no_resources(viewer, grant):
    """Discovery is everybody's; other paths are opened by cluster roles, before anybody learns what is served."""
    assert viewer.get("/apis").status_code == 200
    assert viewer.get("/openapi/v3").status_code == 200
    user = _who(viewer)["username"]
    assert _forbidden(viewer.get("/metrics")) == f'forbidden: User "{user}" cannot get path "/metrics"'
    _forbidden(viewer.get("/apis/no.such/v1/things"))
    grant([{"nonResourceURLs": ["/met*"], "verbs": ["get"]}], "paths", everywhere=True)
    assert viewer.get("/metrics").status_code == 404


def test_a_binding_to_nothing_is_told(viewer, http, namespace, grant):
    """The refusal names the role that is missing."""
    grant(READER)
    http.delete(f"{RBAC}/namespaces/{namespace}/roles/reader")
    message = _forbidden(viewer.get(f"/api/v1/namespaces/{namespace}/pods"))
    assert message.endswith(f'"{namespace}": RBAC: role.rbac.authorization.k8s.io "reader" not found')


def test_bindings_keep_their_role(http, namespace, grant):
    """The role of a binding cannot change; rules and subjects are validated with their paths."""
    grant(READER)
    path = f"{RBAC}/namespaces/{namespace}"
    changed = http.patch(f"{path}/rolebindings/reader", json={"roleRef": {"name": "other"}}, headers=MERGE)
    assert "cannot change roleRef" in changed.json()["message"]
    broken = [{"verbs": [], "resources": ["pods"]}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}]
    causes = http.post(f"{path}/roles", json={"metadata": {"name": "r"}, "rules": broken}).json()["details"]["causes"]
    fields = ["rules[0].verbs", "rules[0].apiGroups", "rules[1].nonResourceURLs"]
    assert [cause["field"] for cause in causes] == fields
    unbound = {"metadata": {"name": "b"}, "roleRef": {"kind": "Robe", "name": "r"}, "subjects": [
        {"kind": "ServiceAccount", "name": "a"}, {"kind": "Robot", "name": "r"}]}  # fmt: skip
    causes = http.post(f"{path}/rolebindings", json=unbound).json()["details"]["causes"]
    assert [cause["field"] for cause in causes] == ["roleRef.kind", "subjects[0].namespace", "subjects[1].kind"]


def test_nobody_hands_out_more_than_they_hold(viewer, namespace, grant):
    """An account that may write roles may grant what it holds, and no more, unless it may escalate or bind."""
    grant([*READER, {"apiGroups": ["*"], "resources": ["roles", "rolebindings"], "verbs": ["create"]}])
    path = f"{RBAC}/namespaces/{namespace}"
    assert viewer.post(f"{path}/roles", json={"metadata": {"name": "same"}, "rules": READER}).status_code == 201
    more = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}]
    message = _forbidden(viewer.post(f"{path}/roles", json={"metadata": {"name": "more"}, "rules": more}))
    assert message.endswith('not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}')
    binding = {"metadata": {"name": "up"}, "roleRef": {"kind": "ClusterRole", "name": "edit"}}
    assert "is attempting to grant" in _forbidden(viewer.post(f"{path}/rolebindings", json=binding))
    bind = [{"apiGroups": ["*"], "resources": ["clusterroles"], "resourceNames": ["edit"], "verbs": ["bind"]}]
    grant(bind, "binder")
    assert viewer.post(f"{path}/rolebindings", json=binding).status_code == 201


def test_impersonation(http, viewer, namespace, grant):
    """The administrator may be anybody; others only whom they are allowed to be; groups need a user."""
    jane = {"Impersonate-User": "jane", "Impersonate-Group": "ops"}
    assert 'User "jane" cannot list resource "nodes"' in _forbidden(http.get("/api/v1/nodes", headers=jane))
    account = {"Impersonate-User": f"system:serviceaccount:{namespace}:viewer"}
    assert "viewer" in _forbidden(http.get("/api/v1/nodes", headers=account))
    words = 'cannot impersonate resource "users" in API group "" at the cluster scope'
    assert words in _forbidden(viewer.get("/api", headers={"Impersonate-User": "jane"}))
    assert http.get("/api", headers={"Impersonate-Group": "ops"}).status_code == 400
    grant([{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}], "actor", everywhere=True)
    assert viewer.get("/api", headers={"Impersonate-User": "jane"}).status_code == 200
    assert 'impersonate resource "groups"' in _forbidden(viewer.get("/api", headers=jane))


def test_access_reviews_say_why(http, viewer, namespace, grant):
    """About oneself, about others, and within a namespace: allowed by which binding, or not."""
    grant(READER)
    path = "/apis/authorization.k8s.io/v1"
    wanted = {"resourceAttributes": {"namespace": namespace, "verb": "get", "resource": "pods", "subresource": "log"}}
    why = f'RBAC: allowed by RoleBinding "reader/{namespace}" of Role "reader" to ServiceAccount "viewer/{namespace}"'
    mine = _ok(viewer.post(f"{path}/selfsubjectaccessreviews", json={"spec": wanted}))
    assert mine["status"] == {"allowed": True, "reason": why}
    them = {**wanted, "user": f"system:serviceaccount:{namespace}:viewer"}
    assert _ok(http.post(f"{path}/subjectaccessreviews", json={"spec": them}))["status"]["reason"] == why
    local = f"{path}/namespaces/{namespace}/localsubjectaccessreviews"
    groups = {"groups": ["nobodies"], "nonResourceAttributes": {"verb": "get", "path": "/"}}
    assert _ok(http.post(local, json={"spec": groups}))["status"] == {"allowed": False}
    _forbidden(viewer.post(f"{path}/subjectaccessreviews", json={"spec": them}))
    unclear = http.post(f"{path}/subjectaccessreviews", json={"spec": {}})
    assert [cause["field"] for cause in unclear.json()["details"]["causes"]] == [
        "spec.user", "spec.resourceAttributes"]  # fmt: skip
    assert http.get(f"{path}/subjectaccessreviews").status_code == 405


def test_token_reviews(http, request_token):
    """A token is somebody's, for an audience, or nobody's."""
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    token = request_token(audiences=["vault"])["status"]["token"]
    known = _ok(http.post(path, json={"spec": {"token": token, "audiences": ["vault", "other"]}}))["status"]
    assert (known["authenticated"], known["audiences"]) == (True, ["vault"])
    assert known["user"]["username"].endswith(":viewer")
    assert "authenticated" not in _ok(http.post(path, json={"spec": {"token": token}}))["status"]
