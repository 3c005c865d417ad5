"""Workloads as a real API shows them, made from a few words."""

import itertools

import pytest

from muster.workload import assemble

_RFC = "2026-11-21T05:00:{:02d}Z"


def _template(image, env=(), annotations=None, template_hash=""):
    labels = {"app": "web", **({"pod-template-hash": template_hash} if template_hash else {})}
    metadata = {"creationTimestamp": None, "labels": labels, **({"annotations": annotations} if annotations else {})}
    variables = [{"name": name, "value": value} for name, value in env]
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": image, "env": variables}]}}


class World:
    """One Deployment's story: released revisions, pods that run them, what its status says."""

    def __init__(self):
        self.sets, self.pods, self.template = [], [], None
        self.replicas, self.generation, self.observed, self.paused = 3, 1, 1, False
        self.status = {}
        self._ids = itertools.count(1)

    def release(self, template_hash, revision, image="shop/web:1", env=(), *, annotations=None, history="", own=None):
        notes = {"deployment.kubernetes.io/revision": str(revision), **(own or {})}
        if history:
            notes["deployment.kubernetes.io/revision-history"] = history
        replicaset = {
            "metadata": {
                "name": f"web-{template_hash}",
                "uid": f"rs-{template_hash}",
                "creationTimestamp": _RFC.format(revision),
                "labels": {"app": "web", "pod-template-hash": template_hash},
                "annotations": notes,
                "ownerReferences": [{"uid": "deployment", "controller": True}],
            },
            "spec": {"template": _template(image, env, annotations, template_hash)},
        }
        self.sets = [rs for rs in self.sets if rs["metadata"]["uid"] != replicaset["metadata"]["uid"]] + [replicaset]
        self.template = _template(image, env, annotations)
        return self

    def run(self, template_hash, count=1, digest="sha256:aa", *, ready=True, terminating=False, second=30):
        for _ in range(count):
            name = f"web-{template_hash}-{next(self._ids)}"
            metadata = {
                "name": name,
                "uid": name,
                "creationTimestamp": _RFC.format(second),
                "labels": {"app": "web", "pod-template-hash": template_hash},
                "ownerReferences": [{"uid": f"rs-{template_hash}", "controller": True}],
            }
            if terminating:
                metadata["deletionTimestamp"] = _RFC.format(second + 1)
            statuses = [
                {"name": "proxy", "imageID": "proxy@sha256:ee"},
                {"name": "web", "imageID": f"shop/web@{digest}" if digest else ""},
            ]
            conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
            self.pods.append(
                {"metadata": metadata, "status": {"conditions": conditions, "containerStatuses": statuses}}
            )
        return self

    def see(self, **status):
        serving = len([pod for pod in self.pods if not pod["metadata"].get("deletionTimestamp")])
        full = {"replicas": serving, "updatedReplicas": self.replicas, "availableReplicas": self.replicas}
        deployment = {
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "uid": "deployment",
                "generation": self.generation,
                "annotations": {"deployment.kubernetes.io/revision": "2", "kubernetes.io/change-cause": "newest"},
            },
            "spec": {"replicas": self.replicas, "template": self.template, "selector": {"matchLabels": {"app": "web"}}},
            "status": {"observedGeneration": self.observed, **full, **status},
        }
        if self.paused:
            deployment["spec"]["paused"] = True
        return assemble(deployment, self.sets, self.pods)


@pytest.fixture
def make_world():
    """Makes empty stories, where one is not enough."""
    return World


@pytest.fixture
def world():
    """An empty story."""
    return World()
