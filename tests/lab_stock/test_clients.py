"""The official Python client and chaostoolkit-kubernetes against the whole world, in one process for each story."""

import pytest

pytestmark = pytest.mark.xdist_group("lab_stock")


def test_the_python_client_reads_and_writes(shop, script):
    """Every answer fits its model; each kind of patch does what it does on a cluster; a dry run does nothing."""
    script(
        shop.namespace,
        """
        from datetime import datetime
        web = apps.read_namespaced_deployment("web", ns)
        assert (web.spec.replicas, web.status.ready_replicas) == (3, 3)
        pods = core.list_namespaced_pod(ns, label_selector="app=web").items
        assert len(pods) == 3 and all(isinstance(p.status.start_time, datetime) for p in pods)
        assert all(p.status.container_statuses[0].image_id for p in pods)
        page = core.list_pod_for_all_namespaces(limit=1)
        assert len(page.items) == 1 and page.metadata._continue
        about = core.list_namespaced_event(ns, field_selector="involvedObject.name=web").items
        assert about and {e.involved_object.kind for e in about} == {"Deployment"}, about
        (first,) = apps.list_namespaced_replica_set(ns).items
        assert first.metadata.annotations["deployment.kubernetes.io/desired-replicas"] == "3"
        assert apps.read_namespaced_deployment_status("web", ns).status.available_replicas == 3
        assert apps.read_namespaced_deployment_scale("web", ns).status.selector == "app=web"
        (slice_,) = client.DiscoveryV1Api().list_namespaced_endpoint_slice(ns).items
        assert {e.conditions.ready for e in slice_.endpoints} == {True}
        assert core.read_namespaced_pod_log(pods[0].metadata.name, ns) == "born 1\\n"
        assert client.VersionApi().get_code().major == "1"

        assert apps.patch_namespaced_deployment("web", ns, {"metadata": {"labels": {"x": "1"}}}).metadata.labels["x"]
        op = [{"op": "replace", "path": "/metadata/labels/x", "value": "2"}]
        assert apps.patch_namespaced_deployment("web", ns, op).metadata.labels["x"] == "2"
        assert apps.patch_namespaced_deployment_scale("web", ns, {"spec": {"replicas": 3}}).kind == "Scale"
        dry = apps.patch_namespaced_deployment("web", ns, {"spec": {"replicas": 9}}, dry_run="All", field_manager="m")
        assert dry.spec.replicas == 9 and apps.read_namespaced_deployment("web", ns).spec.replicas == 3
        read = apps.read_namespaced_deployment("web", ns)
        assert apps.replace_namespaced_deployment("web", ns, read).spec.replicas == 3
        """,
    )


def test_the_python_client_is_refused_and_watches(shop, script):
    """Errors are ApiExceptions with the server's words; a rollout is seen by two watches; an old version is gone."""
    script(
        shop.namespace,
        """
        import json, threading
        web = apps.read_namespaced_deployment("web", ns)
        pods = core.list_namespaced_pod(ns).items
        apps.patch_namespaced_deployment("web", ns, {"metadata": {"labels": {"x": "1"}}})
        def refused(call, *args, **kwargs):
            problem = error(call, *args, **kwargs)
            return problem.status, json.loads(problem.body)["message"]
        web.metadata.labels["late"] = "1"
        status, words = refused(apps.replace_namespaced_deployment, "web", ns, web)
        assert status == 409 and words.endswith("apply your changes to the latest version and try again"), words
        missing = refused(apps.read_namespaced_deployment, "missing", ns)
        assert missing == (404, 'deployments.apps "missing" not found'), missing
        status, words = refused(apps.patch_namespaced_deployment, "web", ns, {"spec": {"replicas": -1}})
        assert (status, words) == (422, 'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: '
                                        'must be greater than or equal to 0')
        cm = {"metadata": {"name": "z"}}
        assert refused(core.create_namespaced_config_map, "nosuchns", cm) == (404, 'namespaces "nosuchns" not found')
        assert refused(core.patch_namespaced_config_map, "nosuch", ns, {}) == (404, 'configmaps "nosuch" not found')
        assert "Field required" in str(error(apps.create_namespaced_deployment, ns, {"spec": {"template": {}}}))

        seen = {"deployment": [], "pod": []}
        def follow(kind, call):
            for event in watch.Watch().stream(call, ns, timeout_seconds=60):
                one = event["object"]
                seen[kind].append((event["type"], one.metadata.name, one.status))
                counts = (one.status.updated_replicas, one.status.replicas, one.status.available_replicas) \\
                    if kind == "deployment" else ()
                if counts == (3, 3, 3) and one.metadata.generation == one.status.observed_generation > 1:
                    return
                if kind == "pod" and sum(t == "DELETED" for t, *_ in seen["pod"]) == 3:
                    return
        threads = [threading.Thread(target=follow, args=a) for a in
                   (("deployment", apps.list_namespaced_deployment), ("pod", core.list_namespaced_pod))]
        [t.start() for t in threads]
        until(lambda: all(seen.values()))  # both watches stand
        change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "lab.test/web:2"}]}}}}
        apps.patch_namespaced_deployment("web", ns, change)
        [t.join() for t in threads]
        assert seen["deployment"][0][0] == "ADDED" and len(seen["deployment"]) > 3, seen["deployment"]
        updated = [e[2].updated_replicas or 0 for e in seen["deployment"][1:]]
        assert updated[-1] == 3 and {1, 2, 3} <= set(updated), updated
        old = [p.metadata.name for p in pods]
        ends = [(t, s.phase) for t, name, s in seen["pod"] if name == old[0]]
        assert ends[0] == ("ADDED", "Running") and ends[-1] == ("DELETED", "Succeeded"), ends
        stream = watch.Watch().stream(core.list_namespaced_pod, ns, resource_version="1", timeout_seconds=2)
        gone = error(lambda: list(stream))
        assert gone.status == 410 and gone.reason.startswith("Expired: too old resource version: 1"), gone.reason
        """,
    )


def test_the_python_client_creates_evicts_and_deletes(k, script):
    """A foreground deletion shows its finalizer until the pods are gone; a namespace that ends takes nothing new."""
    script(
        k.namespace,
        """
        import json
        labels = {"app": "d"}
        container = client.V1Container(name="c", image="lab.test/web:1", ports=[{"containerPort": 8080}])
        pod = client.V1PodSpec(containers=[container], termination_grace_period_seconds=3)
        template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=pod)
        spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels=labels),
                                       template=template)
        name = ns + "-py"
        made = core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
        assert made.metadata.labels == {"kubernetes.io/metadata.name": name}
        apps.create_namespaced_deployment(name, client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec))
        until(lambda: apps.read_namespaced_deployment("d", name).status.ready_replicas == 2)
        victim = core.list_namespaced_pod(name).items[0].metadata.name
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=victim, namespace=name))
        assert core.create_namespaced_pod_eviction(victim, name, eviction).kind == "Status"
        until(lambda: victim not in [p.metadata.name for p in core.list_namespaced_pod(name).items])
        marked = apps.delete_namespaced_deployment("d", name, propagation_policy="Foreground")
        finalizers = marked["metadata"]["finalizers"] if isinstance(marked, dict) else marked.metadata.finalizers
        assert finalizers == ["foregroundDeletion"]
        def gone():
            try:
                return apps.read_namespaced_deployment("d", name).metadata.deletion_timestamp is None
            except client.ApiException as problem:
                return problem.status == 404
        until(gone)
        assert core.list_namespaced_pod(name).items == []
        held = {"metadata": {"name": "held", "finalizers": ["lab.test/hold"]}}
        core.create_namespaced_config_map(name, held)
        core.delete_namespace(name)
        assert core.read_namespace(name).status.phase == "Terminating"
        problem = error(core.create_namespaced_config_map, name, {"metadata": {"name": "z"}})
        words = f'configmaps "z" is forbidden: unable to create new content in namespace {name} because it is being '
        body = json.loads(problem.body)
        assert (problem.status, body["message"]) == (403, words + "terminated"), body
        assert body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        core.patch_namespaced_config_map("held", name, [{"op": "remove", "path": "/metadata/finalizers"}])
        """,
    )


def test_chaostoolkit_kubernetes(shop, script):
    """The actions and probes that experiments use: pods, logs, scale, rollout, nodes, events, Chaos Mesh objects."""
    script(
        shop.namespace,
        """
        import json
        from chaosk8s.crd.actions import create_custom_object, delete_custom_object, patch_custom_object
        from chaosk8s.crd.probes import get_custom_object, list_custom_objects
        from chaosk8s.deployment.actions import rollout_deployment, scale_deployment
        from chaosk8s.deployment.probes import (deployment_available_and_healthy, deployment_fully_available,
                                                deployment_not_fully_available)
        from chaosk8s.event.probes import get_events
        from chaosk8s.node.probes import all_nodes_must_be_ready_to_schedule, get_nodes
        from chaosk8s.pod.actions import terminate_pods
        from chaosk8s.pod.probes import count_pods, pods_in_conditions, pods_in_phase, read_pod_logs

        def available():
            assert deployment_fully_available("web", ns=ns, timeout=20) is True
        available()
        assert deployment_available_and_healthy("web", ns=ns) is True
        assert "failed to stop running within 1s" in str(error(deployment_not_fully_available, "web", ns=ns, timeout=1))
        assert "'nosuch' was not found" in str(error(deployment_available_and_healthy, "nosuch", ns=ns))
        assert count_pods("app=web", ns=ns) == count_pods("app=web", phase="Running", ns=ns) == 3
        assert pods_in_phase("app=web", phase="Running", ns=ns) is True
        assert pods_in_conditions("app=web", ns=ns, conditions=[{"type": "Ready", "status": "True"}]) is True
        assert str(error(pods_in_phase, "app=nosuch", ns=ns)) == "no pods 'app=nosuch' were found"
        logs = read_pod_logs(label_selector="app=web", ns=ns, last="1 minute")
        assert len(logs) == 3 and all(text.endswith("Z born 1\\n") for text in logs.values()), logs
        assert len(get_nodes()["items"]) == 1 and all_nodes_must_be_ready_to_schedule() is True
        found = get_events(limit=5)
        assert (found["apiVersion"], len(found["items"]), found["kind"]) == ("events.k8s.io/v1", 5, "EventList")
        bad = error(get_events, field_selector="involvedObject.kind=Pod")
        assert (bad.status, json.loads(bad.body)["message"]) == (400, "field label not supported: involvedObject.kind")

        (victim,) = terminate_pods("app=web", ns=ns, qty=1, rand=True)
        def there():
            return {p.metadata.name for p in core.list_namespaced_pod(ns).items}
        until(lambda: victim not in there())  # it lists, then deletes: one that is just leaving may be gone meanwhile
        (other,) = terminate_pods("app=web", ns=ns, qty=1, grace_period=0)
        until(lambda: len(left := there()) == 3 and not {victim, other} & left)
        available()
        scale_deployment("web", 1, ns=ns)
        scale_deployment("web", 3, ns=ns)
        available()
        missing = str(error(scale_deployment, "nosuch", 3, ns=ns))
        assert missing.startswith("failed to scale 'nosuch' to 3 replicas: (404)"), missing
        rollout_deployment("web", ns=ns)
        available()

        group = ns + ".example.org"  # a definition of our own: faults themselves have their own tests
        names = {"plural": "mayhems", "singular": "mayhem", "kind": "Mayhem", "listKind": "MayhemList"}
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        version = {"name": "v1alpha1", "served": True, "storage": True, "schema": schema}
        client.ApiextensionsV1Api().create_custom_resource_definition({"metadata": {"name": "mayhems." + group},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}})
        where = (group, "v1alpha1", "mayhems")
        body = {"apiVersion": group + "/v1alpha1", "kind": "Mayhem", "metadata": {"name": "m"}, "spec": {"mode": "one"}}
        assert create_custom_object(*where, ns=ns, resource=body)["metadata"]["generation"] == 1
        again = create_custom_object(*where, ns=ns, resource=body)
        assert (again["reason"], again["code"]) == ("AlreadyExists", 409)
        assert get_custom_object(*where, ns=ns, name="m")["spec"] == {"mode": "one"}
        assert len(list_custom_objects(*where, ns=ns)["items"]) == 1
        change = [{"op": "replace", "path": "/spec/mode", "value": "all"}]
        assert patch_custom_object(*where, ns=ns, name="m", resource=change)["metadata"]["generation"] == 2
        assert delete_custom_object(*where, ns=ns, name="m")["status"] == "Success"
        unknown = str(error(create_custom_object, group, "v1alpha1", "nosuch", ns=ns, resource=body))
        assert "404 page not found" in unknown, unknown
        """,
    )
