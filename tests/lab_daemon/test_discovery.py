"""A Prometheus that was built without Kubernetes gets the very targets that its own discovery would have found."""

from lab.daemon.discovery import targets

POD = {
    "metadata": {
        "namespace": "shop",
        "name": "web-7c9f-abcde",
        "uid": "u-1",
        "labels": {"app": "web", "pod-template-hash": "7c9f"},
        "annotations": {"prometheus.io/scrape": "true"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7c9f", "controller": True}],
    },
    "spec": {
        "nodeName": "lab-node",
        "containers": [
            {
                "name": "web",
                "image": "registry.lab/web:1",
                "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9443, "protocol": "UDP"}],
            },
            {"name": "side", "image": "registry.lab/side:1"},
        ],
    },
    "status": {"phase": "Running", "podIP": "127.9.0.1", "conditions": [{"type": "Ready", "status": "False"}]},
}


def test_each_declared_port_is_a_target():
    """Address and port, as role pod lists them; a container without ports has nothing to scrape."""
    assert [group["targets"] for group in targets(POD)] == [["127.9.0.1:8080"], ["127.9.0.1:9443"]]


def test_labels_are_those_of_kubernetes_discovery():
    """Names of labels and annotations are sanitized as Prometheus does it, and presence is marked."""
    http, mesh = (group["labels"] for group in targets(POD))
    expected = {
        "__meta_kubernetes_namespace": "shop",
        "__meta_kubernetes_pod_name": "web-7c9f-abcde",
        "__meta_kubernetes_pod_label_pod_template_hash": "7c9f",
        "__meta_kubernetes_pod_labelpresent_app": "true",
        "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
        "__meta_kubernetes_pod_controller_kind": "ReplicaSet",
        "__meta_kubernetes_pod_ready": "false",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_pod_container_port_name": "http",
        "__meta_kubernetes_pod_container_port_number": "8080",
        "__meta_kubernetes_pod_container_port_protocol": "TCP",
    }
    assert expected.items() <= http.items()
    assert mesh["__meta_kubernetes_pod_container_port_name"] == ""
    assert mesh["__meta_kubernetes_pod_container_port_protocol"] == "UDP"


def test_a_pod_without_an_address_is_no_target():
    """What has not been placed yet cannot be scraped."""
    assert targets({**POD, "status": {"phase": "Pending"}}) == []
