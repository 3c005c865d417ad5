"""Stock kubectl as the judge of authentication, authorization and protobuf bodies."""

from __future__ import annotations

import json
import re

import pytest


@pytest.fixture
def k(kubectl, namespace):
    """Stock kubectl in this test's namespace."""

    def run(*arguments, **options):
        return kubectl("-n", namespace, *arguments, **options)

    return run


@pytest.fixture
def user(namespace):
    """The user name of the account ``viewer``."""
    return f"system:serviceaccount:{namespace}:viewer"


@pytest.fixture
def as_viewer(k, api_server, tmp_path):
    """Kubectl with a token of the account ``viewer``, which may read pods and deployments."""
    k("create", "serviceaccount", "viewer")
    k("create", "role", "reader", "--verb=get,list", "--resource=pods,pods/log,deployments.apps")
    k("create", "rolebinding", "viewer-reads", "--role=reader", "--serviceaccount", _account(k))
    config = json.loads(api_server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": k("create", "token", "viewer", "--duration=2h")}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))

    def run(*arguments, **options):
        return k("--kubeconfig", str(path), *arguments, **options)

    return run


def _account(k):
    return ":".join(
        json.loads(k("get", "sa", "viewer", "-o", "json"))["metadata"][key] for key in ("namespace", "name")
    )


def test_what_kubectl_sends_as_protobuf_is_created(kubectl, k, namespace, tmp_path):
    """Every create for which kubectl builds the object itself."""
    kubectl("create", "namespace", f"{namespace}-other")
    (tmp_path / "blob").write_bytes(b"\xff\x00")
    k("create", "configmap", "c", "--from-literal=a=1", f"--from-file=blob={tmp_path / 'blob'}")
    k("create", "secret", "generic", "s", "--from-literal=p=x", "--type=lab/own")
    k("create", "deployment", "d", "--image=lab/web:1.0", "--replicas=2", "--port=80", "--", "run", "it")
    k("create", "service", "clusterip", "v", "--tcp=80:http")
    k("create", "ingress", "i", "--rule=a.lab/b*=v:80,tls=t", "--class=lab")
    k("create", "quota", "q", "--hard=pods=5,requests.memory=1Gi")
    k("create", "poddisruptionbudget", "b", "--selector=app=d", "--min-available=50%")
    k("autoscale", "deployment", "d", "--min=2", "--max=4", "--cpu-percent=80")
    k("create", "clusterrole", namespace, "--verb=get", "--non-resource-url=/x")
    k("create", "clusterrolebinding", namespace, "--clusterrole=view", "--user=jane", "--group=ops")

    def read(kind, name):
        return json.loads(k("get", kind, name, "-o", "json"))

    assert (read("cm", "c")["data"], read("cm", "c")["binaryData"]) == ({"a": "1"}, {"blob": "/wA="})
    assert (read("secret", "s")["data"], read("secret", "s")["type"]) == ({"p": "eA=="}, "lab/own")
    spec = read("deployment", "d")["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert (spec["replicas"], container["command"], container["ports"][0]["containerPort"]) == (2, ["run", "it"], 80)
    assert read("service", "v")["spec"]["ports"][0]["targetPort"] == "http"
    rule = read("ingress", "i")["spec"]["rules"][0]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("a.lab", "/b")
    assert read("quota", "q")["spec"]["hard"] == {"pods": "5", "requests.memory": "1Gi"}
    assert read("pdb", "b")["spec"]["minAvailable"] == "50%"
    spec = read("hpa", "d")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"], spec["scaleTargetRef"]["name"]) == (2, 4, "d")
    assert read("clusterrole", namespace)["rules"] == [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]
    bound = kubectl("get", "clusterrolebinding", namespace, "-o", "wide").splitlines()[1].split()
    assert (bound[1], bound[3:]) == ("ClusterRole/view", ["jane", "ops"])
    kubectl("delete", "clusterrole,clusterrolebinding", namespace)
    kubectl("delete", "namespace", f"{namespace}-other")


def test_refusals_in_the_real_words(as_viewer, user, namespace):
    """Reads that the role allows work; for everything else kubectl prints who may not do what, where."""
    assert as_viewer("get", "pods") == ""
    where = f'in the namespace "{namespace}"'
    for resource in ("secrets", "events"):
        words = f'{resource} is forbidden: User "{user}" cannot list resource "{resource}" in API group ""'
        assert as_viewer("get", resource, fails=True) == f"Error from server (Forbidden): {words} {where}\n"
    nodes = as_viewer("get", "nodes", fails=True)
    assert nodes.endswith('cannot list resource "nodes" in API group "" at the cluster scope\n')
    created = as_viewer("create", "ns", "x", fails=True)
    assert created.endswith('cannot create resource "namespaces" in API group "" at the cluster scope\n')


def test_writes_are_refused_with_the_name(as_viewer, k, user, namespace):
    """Scale, restart, patch and delete of a Deployment that may only be read."""
    k("create", "deployment", "web", "--image=lab/web:1.0")
    end = f'in API group "apps" in the namespace "{namespace}"\n'
    start = f'deployments.apps "web" is forbidden: User "{user}" cannot'
    for arguments, refused in (
        (("scale", "deployment/web", "--replicas=1"), 'patch resource "deployments/scale"'),
        (("rollout", "restart", "deployment/web"), 'patch resource "deployments"'),
        (("patch", "deployment", "web", "-p", '{"spec":{"replicas":9}}'), 'patch resource "deployments"'),
        (("delete", "deployment", "web"), 'delete resource "deployments"'),
    ):
        assert as_viewer(*arguments, fails=True).endswith(f"{start} {refused} {end}"), arguments


def test_can_i_and_who_am_i(as_viewer, kubectl, k, user):
    """Kubectl auth: for oneself, for others, as a list, by name."""
    assert as_viewer("auth", "can-i", "list", "pods") == "yes\n"
    k("auth", "can-i", "delete", "pods", "--as", user, fails=True)
    assert k("auth", "can-i", "get", "pods", "--subresource=log", "--as", user) == "yes\n"
    assert kubectl("auth", "can-i", "*", "*") == "yes\n"
    listed = as_viewer("auth", "can-i", "--list")
    assert re.search(r"deployments.apps +\[] +\[] +\[get list]", listed)
    assert re.search(r"selfsubjectreviews.authentication.k8s.io +\[] +\[] +\[create]", listed)
    assert re.search(r" \[/openapi/\*] +\[] +\[get]", listed)
    assert re.search(r"Username +" + user, as_viewer("auth", "whoami"))
    assert re.search(r"Groups +\[system:masters system:authenticated]", kubectl("auth", "whoami"))
    assert re.search(r"Groups +\[ops system:authenticated]", kubectl("auth", "whoami", "--as=jane", "--as-group=ops"))


def test_a_wrong_token_is_told(kubectl, api_server, tmp_path):
    """401 in kubectl's words."""
    config = json.loads(api_server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    refused = kubectl("--kubeconfig", str(path), "get", "pods", fails=True)
    assert refused == "error: You must be logged in to the server (Unauthorized)\n"
