"""What goes away, how, and what comes back; waiting for conditions."""

import re

import pytest

pytestmark = pytest.mark.xdist_group("lab_stock")


def rolled_out(k):
    assert k("rollout status deployment/web --timeout=20s").splitlines()[-1].endswith("successfully rolled out")


def test_pods_are_replaced(shop, wait_until):
    """Deleted by name, by force and by label: each is told in its words, and three others are ready soon after."""
    first, second, _ = shop.pods()
    assert shop(f"delete pod {first}") == f'pod "{first}" deleted\n'
    wait_until(lambda: shop.stands(3, first), "one more")
    rolled_out(shop)
    forced = shop.run(f"delete pod {second} --grace-period=0 --force")
    assert (forced.code, forced.out) == (0, f'pod "{second}" force deleted\n')
    assert forced.err.startswith("Warning: Immediate deletion does not wait for confirmation that the running resource")
    assert shop.run(f"wait --for=delete pod/{second} --timeout=10s") == (0, "", "")
    wait_until(lambda: shop.stands(3, first, second), "one more")
    before = shop.pods()
    deleted = shop("delete pods -l app=web --wait=false").splitlines()
    assert deleted == [f'pod "{name}" deleted' for name in before]
    wait_until(lambda: shop.stands(3, *before), "three others")
    rolled_out(shop)
    ready = shop(["wait", "--for=condition=Ready", *(f"pod/{name}" for name in shop.pods()), "--timeout=20s"])
    assert sorted(ready.splitlines()) == [f"pod/{name} condition met" for name in shop.pods()]
    assert shop.fails("delete pod nosuch") == 'Error from server (NotFound): pods "nosuch" not found\n'
    assert shop.run("delete pod nosuch --ignore-not-found") == (0, "", "")


def test_waiting(window):
    """For a condition, for a field, for one that never comes."""
    met = "deployment.apps/web condition met\n"
    assert window("wait --for=condition=available deployment/web --timeout=20s") == met
    assert window("wait --for=jsonpath={.status.readyReplicas}=3 deployment/web --timeout=20s") == met
    never = window.fails("wait --for=condition=Nosuch deployment/web --timeout=1s")
    assert never == "error: timed out waiting for the condition on deployments/web\n"


def test_what_a_deployment_leaves(shop, manifest, wait_until):
    """Orphans stay and are taken over by the next of the name; in background everything goes."""
    pods = shop.pods()
    (set_,) = (row[0] for row in shop.table("get rs")[1:])
    assert shop("delete deployment web --cascade=orphan") == 'deployment.apps "web" deleted\n'
    wait_until(lambda: not shop.json(f"get rs {set_}")["metadata"].get("ownerReferences"), "the orphan")
    left = [row[0] for row in shop.table("get rs,pods") if row[0] != "NAME"]
    assert sorted(left) == [*(f"pod/{name}" for name in pods), f"replicaset.apps/{set_}"]
    assert shop("apply -f -", stdin=manifest()) == "deployment.apps/web created\n"
    rolled_out(shop)
    assert shop.pods() == pods
    assert shop("delete deployment web") == 'deployment.apps "web" deleted\n'
    wait_until(lambda: not [row for row in shop.table("get rs,pods") if row[0] != "NAME"], "nothing left")


def test_a_namespace(k, world, manifest):
    """It goes with its contents, and takes nothing new meanwhile."""
    body = manifest(replicas=2)
    body["spec"]["template"]["spec"]["containers"] = [{"name": "web", "image": "lab.test/pause:1"}]
    k("apply -f -", stdin=body)
    assert k(f"delete namespace {k.namespace} --timeout=40s") == f'namespace "{k.namespace}" deleted\n'
    assert k.namespace not in k("get ns")
    assert world.kube.get(f"/api/v1/namespaces/{k.namespace}/pods")["items"] == []


def test_a_kind_that_clients_bring_along(k):
    """A definition is established; objects of its kind are applied, shown and deleted."""
    group = f"{k.namespace}.example.org"
    meta = {"name": f"gizmos.{group}"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo", "listKind": "GizmoList"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    kind = "customresourcedefinition.apiextensions.k8s.io"
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}
    assert k("apply -f -", stdin=body) == f"{kind}/gizmos.{group} created\n"
    established = k(f"wait --for=condition=Established crd/gizmos.{group} --timeout=20s")
    assert established == f"{kind}/gizmos.{group} condition met\n"
    table = k(f"get crd gizmos.{group}")
    assert re.fullmatch(rf"NAME +CREATED AT\ngizmos.{group} +\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", table)
    gizmo = {"apiVersion": f"{group}/v1alpha1", "kind": "Gizmo", "metadata": {"name": "w"}, "spec": {"size": 3}}
    assert k("apply -f -", stdin=gizmo) == f"gizmo.{group}/w created\n"
    assert k.table(f"get gizmos.{group}") == [["NAME", "AGE"], ["w", "AGE"]]
    assert k.json(f"get gizmos.{group} w")["spec"] == {"size": 3}
    assert k(f"delete gizmos.{group} w") == f'gizmo.{group} "w" deleted\n'
    k(f"delete crd gizmos.{group}")


def test_an_autoscaler(shop):
    """Made by autoscale, shown with what it sees or does not see, and deleted."""
    assert shop.run("get hpa") == (0, "", f"No resources found in {shop.namespace} namespace.\n")
    made = shop("autoscale deployment web --min=2 --max=4 --cpu-percent=80")
    assert made == "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    header, row = shop.table("get hpa")
    assert header == ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]
    assert row[:2] == ["web", "Deployment/web"]
    assert re.fullmatch(r"cpu: (<unknown>|\d+%)/80%", row[2])
    assert row[3:5] == ["2", "4"]
    described = shop("describe hpa web")
    assert re.search(
        r"resource cpu on pods +\(as a percentage of request\): +(<unknown>|\d+% \(\d+m?\)) / 80%", described
    )
    found = shop.json("get hpa web")
    target = {"averageUtilization": 80, "type": "Utilization"}
    assert found["apiVersion"] == "autoscaling/v2"
    assert found["spec"]["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    assert shop("delete hpa web") == 'horizontalpodautoscaler.autoscaling "web" deleted\n'


def test_usage(window, wait_until):
    """Top shows what the pods and the node really use."""

    def measured(kind, names):
        """The table once all of them are in it; an agent that does not answer in time is a refusal."""
        said = window.run(f"top {kind}")
        table = [line.split() for line in said.out.splitlines()]
        return table if said.code == 0 and [row[0] for row in table[1:]] == names else None

    header, *rows = wait_until(lambda: measured("pods", window.pods()), "every pod to be measured")
    assert header == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert all(re.fullmatch(r"\d+m", row[1]) and re.fullmatch(r"[1-9]\d*Mi", row[2]) for row in rows), rows
    header, _ = wait_until(lambda: measured("nodes", ["lab-node"]), "the node to be measured")
    assert header[0] == "NAME"


def test_accounts_and_roles(k):
    """Applied together; a token made for two hours may read pods and nothing else, in kubectl's words."""
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]},
             {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}]  # fmt: skip
    subjects = [{"kind": "ServiceAccount", "name": "viewer", "namespace": k.namespace}]
    made = k("apply -f -", stdin=[
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "viewer"}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": rules},
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "reads"}, "subjects": subjects,
         "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"}},
    ])  # fmt: skip
    wanted = ["serviceaccount/viewer", f"role.{group}/reader", f"rolebinding.{group}/reads"]
    assert made.splitlines() == [f"{one} created" for one in wanted]
    token = k("create token viewer --duration=2h").strip()
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    user = f"system:serviceaccount:{k.namespace}:viewer"
    assert k(f"auth can-i list pods --as={user}") == "yes\n"
    assert k.run(f"auth can-i delete pods --as={user}")[:2] == (1, "no\n")
    where = f'in API group "" in the namespace "{k.namespace}"'
    refused = f'pods "nosuch" is forbidden: User "{user}" cannot delete resource "pods" {where}'
    assert k.fails(f"delete pod nosuch --as={user}") == f"Error from server (Forbidden): {refused}\n"
