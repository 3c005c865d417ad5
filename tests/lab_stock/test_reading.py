"""What people look at with stock kubectl, on a Deployment with its service that runs."""

import json
import re

import pytest

pytestmark = pytest.mark.xdist_group("lab_stock")


@pytest.fixture(scope="module")
def names(window):
    return window.pods()


def test_the_first_minute(k, manifest, service):
    """Create namespace, apply twice, a service, rollout status: the words of each step, and counts that only grow."""
    name = f"{k.namespace}-first"
    assert k(f"create namespace {name}") == f"namespace/{name} created\n"
    taken = k.fails(f"create namespace {name}")
    assert taken == f'Error from server (AlreadyExists): namespaces "{name}" already exists\n'
    assert [name, "Active", "AGE"] in k.table("get ns")
    made = k.json(f"get ns {name}")
    assert (made["spec"]["finalizers"], made["status"]["phase"]) == (["kubernetes"], "Active")
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}
    k(f"delete ns {name} --wait=false")
    assert k("apply -f -", stdin=service) == "service/web created\n"
    assert k("apply -f -", stdin=manifest()) == "deployment.apps/web created\n"
    *waited, done = k("rollout status deployment/web --timeout=30s").splitlines()
    assert done == 'deployment "web" successfully rolled out'
    counts = [int(found[1]) for line in waited if (found := re.search(r"(\d) of 3 updated replicas are avail", line))]
    assert counts == sorted(counts)


def test_pods(window, names):
    """Each way to list them: plain, wide, by label, by field, in pages, sorted, as names, with labels, everywhere."""
    header, rows = ["NAME", "READY", "STATUS", "RESTARTS", "AGE"], [[n, "1/1", "Running", "0", "AGE"] for n in names]
    hash_ = names[0].rpartition("-")[0].removeprefix("web-")
    for options in ("", " -l app=web", " --field-selector=status.phase=Running", " --chunk-size=1"):
        assert window.table(f"get pods{options}") == [header, *rows], options
    assert sorted(window.table("get pods --sort-by=.metadata.creationTimestamp")[1:]) == rows
    wide = window.table("get pods -o wide")
    assert wide[0] == [*header, "IP", "NODE", "NOMINATED NODE", "READINESS GATES"]
    addresses = [row.pop(5) for row in wide[1:]]
    assert wide[1:] == [[*row, "lab-node", "<none>", "<none>"] for row in rows]
    assert len(set(addresses)) == 3
    labelled = window.table("get pods --show-labels")
    assert labelled[1] == [*rows[0], f"app=web,pod-template-hash={hash_}"]
    assert window("get pods -o name").split() == [f"pod/{name}" for name in names]
    assert window("get pods -o jsonpath={.items[*].metadata.name}").split() == names
    assert [window.namespace, *rows[0]] in window.table("get pods -A")
    none = window.run("-n nosuchns get pods")
    assert none == (0, "", "No resources found in nosuchns namespace.\n")
    listed = window.json("get pods")
    owner = listed["items"][0]["metadata"]["ownerReferences"][0]
    assert (listed["kind"], owner["kind"], owner["controller"]) == ("List", "ReplicaSet", True)
    status = listed["items"][0]["status"]
    assert (status["phase"], status["qosClass"], status["containerStatuses"][0]["ready"]) == (
        "Running",
        "Burstable",
        True,
    )


def test_deployments_and_everything(window, names):
    """Counts, wide columns, `get all` in the order of a cluster, YAML with defaults and what apply left."""
    header = ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    row = ["web", "3/3", "3", "3", "AGE"]
    assert window.table("get deployments") == window.table("get deployment web") == [header, row]
    wide = window.table("get deploy web -o wide")
    assert wide == [[*header, "CONTAINERS", "IMAGES", "SELECTOR"], [*row, "web", "lab.test/web:1", "app=web"]]
    set_ = names[0].rpartition("-")[0]
    everything = window.table("get all")
    assert [one[0] for one in everything if one[0] != "NAME"] == [
        *(f"pod/{name}" for name in names), "service/web", "deployment.apps/web", f"replicaset.apps/{set_}",
    ]  # fmt: skip
    assert everything[-1][1:] == ["3", "3", "3", "AGE"]
    text = window("get deployment web -o yaml")
    assert text.startswith("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n")
    for expected in ('deployment.kubernetes.io/revision: "1"', "kubectl.kubernetes.io/last-applied-configuration: |",
                     "  progressDeadlineSeconds: 60\n  replicas: 3\n  revisionHistoryLimit: 10\n", "maxSurge: 25%",
                     "reason: NewReplicaSetAvailable", "reason: MinimumReplicasAvailable"):  # fmt: skip
        assert expected in text, expected


def test_a_service_and_its_endpoints(window):
    """The same three addresses in endpoints, endpointslices and describe."""
    addresses = sorted(pod["status"]["podIP"] for pod in window.json("get pods")["items"])
    header, row = window.table("get svc web")
    assert header == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert (row[1], row[3:]) == ("ClusterIP", ["<none>", "80/TCP", "AGE"])
    header, endpoints = window.table("get endpoints web")
    assert header == ["NAME", "ENDPOINTS", "AGE"]
    assert sorted(endpoints[1].split(",")) == [f"{one}:8080" for one in addresses]
    header, slice_ = window.table("get endpointslices")
    assert header == ["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"]
    assert slice_[0].startswith("web-")
    assert (slice_[1:3], sorted(slice_[3].split(","))) == (["IPv4", "8080"], addresses)
    described = window("describe svc web")
    for pattern in (r"Selector: +app=web\n", r"Type: +ClusterIP\n", r"Port: +http  80/TCP\nTargetPort: +http/TCP\n",
                    r"IP Families: +IPv4\n", r"Session Affinity: +None\n", r"Events: +<none>"):  # fmt: skip
        assert re.search(pattern, described), pattern


def test_descriptions(window, names):
    """Describe of a deployment and of a pod: what a person reads first when something is wrong."""
    described = window("describe deployment web")
    for pattern in (
        r"Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable\n",
        r"RollingUpdateStrategy: +25% max unavailable, 25% max surge\n", r"Image: +lab.test/web:1\n",
        r"Readiness: +http-get http://:http/ready delay=0s timeout=5s period=1s #success=1 #failure=2\n",
        r"Progressing +True +NewReplicaSetAvailable\n",
        r"OldReplicaSets: +<none>\nNewReplicaSet: +web-\w+ \(3/3 replicas",
        r"Normal +ScalingReplicaSet +\S+ +deployment-controller +Scaled up replica set web-\w+ from 0 to 3",
    ):  # fmt: skip
        assert re.search(pattern, described), pattern
    described = window(f"describe pod {names[0]}")
    for pattern in (
        r"Node: +lab-node/127\.", r"Controlled By: +ReplicaSet/web-", r"Container ID: +\w+://", r"State: +Running\n",
        r"Image ID: +\S+sha256:", r"Ready: +True\nRestart Count: +0".replace("\\n", r"\n +"), r"QoS Class: +Burstable",
        r"Normal +Scheduled +\S+ +default-scheduler +Successfully assigned", r"Normal +Started +\S+ +kubelet +",
    ):  # fmt: skip
        assert re.search(pattern, described), pattern


def test_events(window, names):
    """Sorted, of one object by fields, and in the newer table."""
    sorted_ = window("get events --sort-by=.lastTimestamp")
    assert re.match(r"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n", sorted_)
    assert re.search(rf"Normal +Scheduled +pod/{names[0]} +Successfully assigned \S+/{names[0]} to lab-node", sorted_)
    one = window("get events --field-selector involvedObject.name=web,involvedObject.kind=Deployment --no-headers")
    assert re.fullmatch(r"\S+ +Normal +ScalingReplicaSet +deployment/web +Scaled up replica set \S+ from 0 to 3\n", one)
    assert re.search(r"SuccessfulCreate +ReplicaSet/web-\w+ +Created pod: web-", window("events"))


def test_logs(window, names):
    """Of a pod, of a deployment, of a label with times; and each way in which there is none."""
    first = names[0]
    assert window(f"logs {first}") == "born 1\n"
    said = window.run("logs deployment/web --tail=2")
    assert (said.out, said.err) == ("born 1\n", f"Found 3 pods, using pod/{said.err.strip().rpartition('/')[2]}\n")
    timed = window("logs -l app=web --tail=1 --timestamps").splitlines()
    assert len(timed) == 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z born 1", line) for line in timed)
    before = window.fails(f"logs {first} --previous")
    words = f'previous terminated container "web" in pod "{first}" not found'
    assert before == f"Error from server (BadRequest): {words}\n"
    assert window.fails(f"logs {first} -c nosuch") == f"error: container nosuch is not valid for pod {first}\n"
    missing = f'error: error from server (NotFound): pods "nosuchpod" not found in namespace "{window.namespace}"\n'
    assert window.fails("logs nosuchpod") == missing


def test_the_node(window):
    """Plain, wide, described."""
    (header, row) = window.table("get nodes")
    assert header == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert row[:4] == ["lab-node", "Ready", "<none>", "AGE"]
    wide = window.table("get nodes -o wide")
    assert wide[0][5:] == ["INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"]
    assert wide[1][6] == "<none>"
    described = window("describe node lab-node")
    for pattern in (r"Taints: +<none>\nUnschedulable: +false", r"HolderIdentity: +lab-node",
                    r"Ready +True .*KubeletReady",
                    r"Allocatable:\n", rf"{window.namespace} +web-\S+ +10m \(\d+%\) +500m \(\d+%\) +16Mi"):  # fmt: skip
        assert re.search(pattern, described), pattern


def test_discovery(window):
    """Version, the list of groups and of resources; the second time from kubectl's cache, with the same answer."""
    said = window.run("version")
    assert re.search(r"Server Version: v1\.\d+\.\d+", said.out)
    listed = window("api-resources --api-group=apps")
    assert re.search(r"deployments +deploy +apps/v1 +true +Deployment\nreplicasets +rs +apps/v1 +true", listed)
    assert window("api-resources --api-group=apps") == listed
    groups = window("api-versions").split()
    wanted = {"apps/v1", "autoscaling/v1", "autoscaling/v2", "policy/v1", "v1", "events.k8s.io/v1",
              "discovery.k8s.io/v1",
              "coordination.k8s.io/v1", "rbac.authorization.k8s.io/v1", "authorization.k8s.io/v1",
              "authentication.k8s.io/v1", "apiextensions.k8s.io/v1", "networking.k8s.io/v1"}  # fmt: skip
    assert wanted <= set(groups)
    assert groups == sorted(groups)


def test_requests_by_hand(window, world):
    """Answers outside of kubectl's ways: paths, methods, media types, selectors, versions, health."""
    kube, path = world.kube, f"/apis/apps/v1/namespaces/{window.namespace}/deployments"
    assert window("get --raw /healthz") == window("get --raw /livez") == "ok"
    assert json.loads(window("get --raw /version"))["major"] == "1"
    assert "404" not in window(f"get --raw {path}/web")
    for asked, words in (
        ("/nosuch", "the server could not find the requested resource"),
        (f"{path}?labelSelector=a%20b%20c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !="),
        (f"{path}?fieldSelector=spec.foo%3Dbar", '"spec.foo" is not a known field selector: only "metadata.name"'),
        (f"{path}?limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ):
        assert words in window.fails(f"get --raw {asked}"), asked
    assert kube.get(f"{path}/web")["metadata"]["name"] == "web"
