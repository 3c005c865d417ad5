"""Changes of a Deployment and what hangs on it, by stock kubectl: the words of success and of each refusal."""

import json
import re

import pytest

pytestmark = pytest.mark.xdist_group("lab_stock")

CONFLICT = (
    'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
    "please apply your changes to the latest version and try again\n"
)


@pytest.fixture
def web(k, manifest):
    """A Deployment of pause pods: nothing here looks at programs."""
    body = manifest(replicas=2)
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "lab.test/pause:1"
    del container["readinessProbe"]
    assert k("apply -f -", stdin=body) == "deployment.apps/web created\n"
    k("rollout status deployment/web --timeout=20s")
    return body


def patch(k, body, *options):
    return k.run(["patch", "deployment", "web", *options, "-p", body if isinstance(body, str) else json.dumps(body)])


def container_of(k):
    return k.json("get deployment web")["spec"]["template"]["spec"]["containers"][0]


def rolled_out(k):
    assert "successfully rolled out" in k("rollout status deployment/web --timeout=20s")


def test_apply_again(k, web, wait_until):
    """configured, unchanged, a dry run and a diff that change nothing, server-side, replace."""
    web["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "debug"
    assert k("apply -f - --dry-run=server", stdin=web) == "deployment.apps/web configured (server dry run)\n"
    differs = k.run("diff -f -", stdin=web)
    assert (differs.code, differs.err) == (1, "")
    assert re.search(r"\n-( +)value: info\n\+\1value: debug\n", differs.out)
    assert container_of(k)["env"] == [{"name": "LOG_LEVEL", "value": "info"}]
    assert k("apply -f -", stdin=web) == "deployment.apps/web configured\n"
    rolled_out(k)
    assert k("apply -f -", stdin=web) == "deployment.apps/web unchanged\n"
    assert k.run("diff -f -", stdin=web) == (0, "", "")
    for force in ("", " --force-conflicts"):
        assert k(f"apply --server-side{force} -f -", stdin=web) == "deployment.apps/web serverside-applied\n"

    def replace():
        fresh = k.json("get deployment web")
        fresh["spec"]["minReadySeconds"] = 1
        said = k.run("replace -f -", stdin=fresh)
        return None if CONFLICT in said.err else said  # the pods of before may have ended between the two

    assert wait_until(replace, "no conflict") == (0, "deployment.apps/web replaced\n", "")
    assert k.json("get deployment web")["spec"]["minReadySeconds"] == 1


@pytest.mark.usefixtures("web")
def test_patches(k, wait_until):
    """JSON, merge and strategic patches; what changes nothing says so; scale is a resource of its own."""
    patched = (0, "deployment.apps/web patched\n", "")
    add = {"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "FEATURE", "value": "on"}}
    assert patch(k, [add], "--type=json") == patched
    notes = {"metadata": {"annotations": {"lab/note": "x", "lab/gone": None}}}
    assert patch(k, notes, "--type=merge") == patched
    assert k.json("get deployment web")["metadata"]["annotations"]["lab/note"] == "x"
    limits = {"name": "web", "resources": {"limits": {"memory": "96Mi", "cpu": "600m"}}}
    assert patch(k, {"spec": {"template": {"spec": {"containers": [limits]}}}}) == patched
    container = container_of(k)
    assert (container["resources"]["limits"], container["image"]) == (
        {"cpu": "600m", "memory": "96Mi"},
        "lab.test/pause:1",
    )
    assert [one["name"] for one in container["env"]] == ["LOG_LEVEL", "FEATURE"]
    rolled_out(k)
    zero = {"spec": {"replicas": 0}}
    assert patch(k, zero) == patched
    rolled_out(k)
    wait_until(lambda: k.table("get deploy web")[1] == ["web", "0/0", "0", "0", "AGE"], "no pod to be counted")
    wait_until(lambda: patch(k, zero).out == "deployment.apps/web patched (no change)\n", "the status to settle")
    assert patch(k, [{"op": "replace", "path": "/spec/replicas", "value": 3}], "--type=json") == patched
    rolled_out(k)
    scaled = patch(k, {"spec": {"replicas": 2}}, "--subresource=scale", "--type=merge")
    assert scaled == (0, "scale.autoscaling/web patched\n", "")
    scale = k.json("get --subresource=scale deployment web")
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 2}, "app=web")


@pytest.mark.usefixtures("web")
def test_set(k):
    """Set env and set resources roll out; environment of a configmap that is not there is refused."""
    assert k("set env deployment/web LOG_LEVEL=warn") == "deployment.apps/web env updated\n"
    resources = k("set resources deployment/web -c web --limits=memory=80Mi")
    assert resources == "deployment.apps/web resource requirements updated\n"
    rolled_out(k)
    assert container_of(k)["env"] == [{"name": "LOG_LEVEL", "value": "warn"}]
    assert container_of(k)["resources"]["limits"] == {"cpu": "500m", "memory": "80Mi"}
    words = 'Error from server (NotFound): configmaps "nosuch" not found\n'
    assert k.fails("set env deployment/web --from=configmap/nosuch") == words


def test_scale(shop, wait_until):
    """Up, with a wrong expectation, down to those that are missed least, to zero, where nothing is left behind it."""
    assert shop("scale deployment/web --replicas=5") == "deployment.apps/web scaled\n"
    *waited, done = shop("rollout status deployment/web --timeout=30s").splitlines()
    assert done == 'deployment "web" successfully rolled out'
    words = r'Waiting for deployment ("web" rollout to finish: \d (out of 5 new|of 5 updated) replicas|spec update) .*'
    assert all(re.fullmatch(words, line) for line in waited), waited
    refused = shop.fails("scale deployment/web --replicas=2 --current-replicas=9")
    assert refused == "error: Expected replicas to be 9, was 5\n"
    shop("scale deployment/web --replicas=2")
    wait_until(lambda: len(shop.pods()) == 2, "two pods")
    assert shop("scale deployment/web --replicas=0") == "deployment.apps/web scaled\n"
    rolled_out(shop)
    wait_until(lambda: shop.stands(0), "nothing to be left")
    assert shop.table("get deployment web")[1] == ["web", "0/0", "0", "0", "AGE"]
    wait_until(lambda: shop.run("get pods").err.startswith("No resources found"), "no pods")
    slice_ = shop.table("get endpointslices")[1]
    assert slice_[1:] == ["IPv4", "<unset>", "<unset>", "AGE"]


def test_configmaps_and_secrets(k):
    """Made from literals, shown, patched, deleted."""
    assert k("create configmap cfg --from-literal=a=1") == "configmap/cfg created\n"
    assert k("create secret generic sec --from-literal=p=x") == "secret/sec created\n"
    assert k("get configmap cfg -o yaml").startswith('apiVersion: v1\ndata:\n  a: "1"\nkind: ConfigMap\nmetadata:\n')
    assert k("""patch configmap cfg -p {"data":{"a":"2"}}""") == "configmap/cfg patched\n"
    assert k.json("get cm cfg")["data"] == {"a": "2"}
    assert k("delete configmap cfg") == 'configmap "cfg" deleted\n'
    assert k.table("get secret sec") == [["NAME", "TYPE", "DATA", "AGE"], ["sec", "Opaque", "1", "AGE"]]


def test_what_is_not_there(k):
    """Each verb on a deployment that does not exist, and a kind that nobody knows."""
    missing = 'Error from server (NotFound): deployments.apps "missing" not found\n'
    for line in ("get deployment missing", "rollout status deployment/missing", "patch deployment missing -p {}",
                 "delete deployment missing", "rollout undo deployment/missing", "rollout restart deployment/missing",
                 "set image deployment/missing a=b", "describe deployment missing",
                 "wait --for=condition=available deployment/missing --timeout=2s"):  # fmt: skip
        assert k.fails(line) == missing, line
    scale = k.fails("scale deployment/missing --replicas=1")
    assert scale == 'error: no objects passed to scale deployments.apps "missing" not found\n'
    assert k.fails("get widgets") == 'error: the server doesn\'t have a resource type "widgets"\n'


def test_conflicts(k, web):
    """Written on what somebody else has changed meanwhile; made twice."""
    stale = k.json("get deployment web")
    assert k("annotate deployment/web lab/bump=1 --overwrite") == "deployment.apps/web annotated\n"
    assert (
        k.fails("replace -f -", stdin=stale)
        == f'Error from server (Conflict): error when replacing "STDIN": {CONFLICT}'
    )
    version = {"metadata": {"resourceVersion": stale["metadata"]["resourceVersion"]}, "spec": {"paused": False}}
    assert patch(k, version) == (1, "", f"Error from server (Conflict): {CONFLICT}")
    words = 'Error from server (AlreadyExists): error when creating "STDIN": deployments.apps "web" already exists\n'
    assert k.fails("create -f -", stdin=web) == words
    old = k.fails("annotate deployment/web lab/bump=2 --overwrite --resource-version=1")
    assert old == f"Error from server (Conflict): {CONFLICT}"


@pytest.mark.usefixtures("web")
def test_what_makes_no_sense(k):
    """Values that are invalid, with their field, each in the words of a real server."""
    invalid = 'The Deployment "web" is invalid: '
    requests = "spec.template.spec.containers[0].resources.requests"
    too_much = 'Invalid value: "16Mi": must be less than or equal to memory limit of 8Mi'
    go_type = "type map[string]interface {}"
    rejected = "The request is invalid: the server rejected our request due to an error in our request\n"

    def replicas(value):
        return {"op": "replace", "path": "/spec/replicas", "value": value}

    def memory(limit):
        return {
            "spec": {
                "template": {"spec": {"containers": [{"name": "web", "resources": {"limits": {"memory": limit}}}]}}
            }
        }

    for body, options, words in (
        ([replicas(-1)], ["--type=json"],
         f"{invalid}spec.replicas: Invalid value: -1: must be greater than or equal to 0\n"),
        ([{"op": "remove", "path": "/spec/nosuch"}], ["--type=json"], rejected),
        ([{"op": "test", "path": "/spec/replicas", "value": 77}, replicas(1)], ["--type=json"], rejected),
        ({"spec": {"replicas": "three"}}, [],
         'The request is invalid: patch: Invalid value: "map[spec:map[replicas:three]]": unrecognized type: int32\n'),
        (memory("8Mi"), [], f"{invalid}{requests}: {too_much}\n"),
        ("not json", [],
         f"Error from server (BadRequest): json: cannot unmarshal string into Go value of {go_type}\n"),
    ):  # fmt: skip
        assert patch(k, body, *options) == (1, "", words), body
    assert "quantities must match the regular expression '^([+-]?" in patch(k, memory("lots")).err
    selector = patch(k, {"spec": {"selector": {"matchLabels": {"app": "other"}}}}).err
    assert 'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template' in selector
    assert 'spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable' in selector
    unknown = patch(k, {"spec": {"nosuchfield": 1}}, "--type=merge")
    assert unknown == (0, "deployment.apps/web patched (no change)\n", 'Warning: unknown field "spec.nosuchfield"\n')
