"""One Deployment with its ReplicaSets and pods as the API gives them, and pure questions about them.

Shared by releases and faults, which are siblings and do not import each other.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.errors import Unknown
from muster.kube import Kube

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
RESTARTED = "kubectl.kubernetes.io/restartedAt"  # what `kubectl rollout restart` writes into the template
WITHDRAWN = "muster.dev/withdrawn"  # on a ReplicaSet that a drill released as a bad one; see :func:`withdrawn`
CANARY = "nginx.ingress.kubernetes.io/canary"  # on an Ingress: it leads to a canary
CANARY_WEIGHT = f"{CANARY}-weight"
_PAST_WEIGHT = ("by-header", "by-header-value", "by-header-pattern", "by-cookie")
Json = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """One consistent enough look: the Deployment first, then what it owns, so that what it owns is never older."""

    deployment: Json
    replicasets: tuple[Json, ...]  # owned, oldest revision first
    pods: tuple[Json, ...]  # of those ReplicaSets, terminating ones included

    @property
    def name(self) -> str:
        """The Deployment's name."""
        return str(self.deployment["metadata"]["name"])

    @property
    def template(self) -> Json:
        """The pod template that the Deployment asks for."""
        template: Json = self.deployment["spec"]["template"]
        return template

    @property
    def wanted(self) -> int:
        """The replicas that the Deployment asks for (the API's default is 1)."""
        return int(self.deployment["spec"].get("replicas", 1))

    @property
    def current(self) -> Json | None:
        """The ReplicaSet of the Deployment's template; None until the controller has made it."""
        return next((rs for rs in reversed(self.replicasets) if same_template(template_of(rs), self.template)), None)

    def replicaset(self, template_hash: str) -> Json | None:
        """The owned ReplicaSet of that template hash."""
        return next((rs for rs in self.replicasets if hash_of(rs) == template_hash), None)

    def serving(self) -> list[Json]:
        """Pods that get traffic: ready, and not terminating (endpoints drop those at once)."""
        return [pod for pod in self.pods if is_ready(pod) and not is_terminating(pod)]

    def shortfall(self) -> str:
        """What the rollout still lacks, in words; empty when the controller has finished it."""
        if not is_observed(self.deployment):
            return "the controller has not seen the newest spec yet"
        status = self.deployment.get("status", {})
        counts = {
            "replicas": status.get("replicas", 0),
            "updated": status.get("updatedReplicas", 0),
            "available": status.get("availableReplicas", 0),
        }
        if all(count == self.wanted for count in counts.values()):
            return ""
        return f"{self.wanted} wanted, " + ", ".join(f"{count} {name}" for name, count in counts.items())


def deployment_path(namespace: str, name: str) -> str:
    """The API path of a Deployment."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def read_workload(kube: Kube, namespace: str, name: str) -> Workload:
    """Three requests: the Deployment, its ReplicaSets, their pods. Raises :class:`~muster.kube.KubeError`."""
    deployment = kube.get(deployment_path(namespace, name))
    selector = label_selector(deployment)
    sets = kube.get(f"/apis/apps/v1/namespaces/{namespace}/replicasets", labelSelector=selector)["items"]
    pods = kube.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"]
    return assemble(deployment, sets, pods)


def assemble(deployment: Json, replicasets: list[Json], pods: list[Json]) -> Workload:
    """A :class:`Workload` of what the lists hold, without what other controllers own."""
    owned = [rs for rs in replicasets if _owner(rs) == deployment["metadata"]["uid"]]
    uids = {rs["metadata"]["uid"] for rs in owned}
    return Workload(deployment, tuple(sorted(owned, key=revision)), tuple(pod for pod in pods if _owner(pod) in uids))


def label_selector(deployment: Json) -> str:
    """The Deployment's selector as a query, matchExpressions included."""
    selector = deployment["spec"]["selector"]
    terms = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for wanted in selector.get("matchExpressions", []):
        key, values = wanted["key"], ",".join(wanted.get("values", []))
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[wanted["operator"]]
        )
    return ",".join(terms)


def selects(selector: Json | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches these labels: None selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(term, labels) for term in selector.get("matchExpressions") or [])


def _meets(term: Json, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(term["key"]), term.get("values") or []
    return {
        "In": value is not None and value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[str(term["operator"])]


def _owner(item: Json) -> str:
    owners = item["metadata"].get("ownerReferences", [])
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def revision(item: Json) -> int:
    """The revision annotation of a Deployment or ReplicaSet; 0 when it has none yet."""
    text = (item["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def first_revision(replicaset: Json) -> int:
    """The first revision that a ReplicaSet was: one that is released again gets a new number and remembers the old."""
    history = (replicaset["metadata"].get("annotations") or {}).get(REVISION_HISTORY, "")
    return min([revision(replicaset), *(int(number) for number in history.split(",") if number.isdigit())])


def withdrawn(replicaset: Json) -> str:
    """Who withdrew this revision and when, in words; empty for one that may be gone back to.

    The mark begins with the template's hash: an undo and the controller copy annotations to other revisions, whom it
    does not concern.
    """
    template_hash, _, words = (replicaset["metadata"].get("annotations") or {}).get(WITHDRAWN, "").partition(" ")
    return words if template_hash == hash_of(replicaset) else ""


def weight_of(ingress: Json) -> float:
    """The canary's share of users, 0 to 1, by its Ingress' annotations; 0 for a canary that is not switched on.

    Raises :class:`~muster.errors.Unknown` for annotations that are no numbers.
    """
    notes = ingress["metadata"].get("annotations") or {}
    if notes.get(CANARY) != "true":
        return 0.0
    try:
        return float(notes.get(CANARY_WEIGHT, "0")) / float(notes.get(f"{CANARY_WEIGHT}-total", "100"))
    except (ValueError, ZeroDivisionError):
        name = ingress["metadata"]["name"]
        raise Unknown(f"ingress {name} has a canary weight that is no number: {notes.get(CANARY_WEIGHT)!r}") from None


def ways_past_weight(ingress: Json) -> list[str]:
    """How users get to the canary whatever its weight: by headers, by cookie."""
    notes = ingress["metadata"].get("annotations") or {}
    return [way for way in _PAST_WEIGHT if notes.get(CANARY) == "true" and f"{CANARY}-{way}" in notes]


def is_observed(deployment: Json) -> bool:
    """Whether the controller has seen the newest spec."""
    seen: int = deployment.get("status", {}).get("observedGeneration", 0)
    return seen >= int(deployment["metadata"].get("generation", 0))


def template_of(replicaset: Json) -> Json:
    """The ReplicaSet's pod template as a Deployment would ask for it: without the controller's own label."""
    template: Json = copy.deepcopy(replicaset["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    return template


def same_template(one: Json, other: Json) -> bool:
    """Whether two templates are the same to the Deployment controller: absent and null are one thing."""
    return bool(plain(one) == plain(other))


def same_build(one: Json, other: Json) -> bool:
    """Whether two templates run the same thing: annotations (such as a restart's) do not make another build."""
    return bool(plain(one.get("spec", {})) == plain(other.get("spec", {})))


def same_release(one: Json, other: Json) -> bool:
    """Whether two templates are one release, restarted at most."""
    return same_template(_unrestarted(one), _unrestarted(other))


def _unrestarted(template: Json) -> Json:
    metadata = template.get("metadata") or {}
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != RESTARTED}
    return {**template, "metadata": {**metadata, "annotations": kept}}


def plain(value: Any) -> Any:
    """The same JSON without what means nothing: nulls, and empty labels or annotations."""
    if isinstance(value, dict):
        kept = {key: plain(item) for key, item in value.items() if item is not None}
        for key in ("labels", "annotations"):
            if kept.get(key) == {}:
                del kept[key]
        return kept
    return [plain(item) for item in value] if isinstance(value, list) else value


def hash_of(item: Json) -> str:
    """The template hash of a pod or a ReplicaSet."""
    return str((item["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def is_terminating(pod: Json) -> bool:
    """Whether its deletion has begun."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_ready(pod: Json) -> bool:
    """Whether the kubelet says Ready; no condition means no."""
    conditions = pod.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def digest_of(pod: Json, container: str) -> str:
    """``sha256:...`` of what that container really runs, without repository; empty when not reported."""
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status["name"] == container:
            return str(status.get("imageID", "")).rpartition("@")[2].rpartition("://")[2]
    return ""


def epoch(stamp: str | None) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 when there is none."""
    return datetime.fromisoformat(stamp).timestamp() if stamp else 0.0
