"""Who else looks after a Deployment: GitOps puts back what an undo changed, and a Rollout is no Deployment at all."""

from __future__ import annotations

from http import HTTPStatus

from muster.kube import Kube, KubeError
from muster.workload import Json, Workload, read_workload

_ARGO = "argocd.argoproj.io/"
_ARGO_TRACKING = f"{_ARGO}tracking-id"  # APPLICATION:GROUP/KIND:NAMESPACE/NAME
# Helm writes the second one as well: without another mark of Argo's it says nothing.
_ARGO_NAMES = (f"{_ARGO}instance", "app.kubernetes.io/instance")
_FLUX = {
    "kustomize.toolkit.fluxcd.io/name": "Flux (Kustomization {})",
    "helm.toolkit.fluxcd.io/name": "Flux (HelmRelease {})",
}


def keeper_of(item: Json) -> str:
    """Who keeps an object as it stands in git, by the tracking labels and annotations of Argo CD and Flux; "" for none.

    Whether they really put back what was changed (Argo CD's self-heal, a Kustomization that is not suspended) stands
    with them, not here.
    """
    metadata = item["metadata"]
    notes = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    if any(key.startswith(_ARGO) for key in notes):
        application = str(notes.get(_ARGO_TRACKING, "")).partition(":")[0]
        named = [application, *(str(notes.get(key, "")) for key in _ARGO_NAMES)]
        name = next(filter(None, named), "")
        return f"Argo CD (application {name})" if name else "Argo CD"
    return next((words.format(notes[key]) for key, words in _FLUX.items() if key in notes), "")


def read_deployed(kube: Kube, namespace: str, name: str) -> Workload:
    """A Deployment with what it owns. Raises :class:`~muster.kube.KubeError`, in words where there is none."""
    try:
        return read_workload(kube, namespace, name)
    except KubeError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise KubeError(_missing(kube, namespace, name), status=error.status, reason=error.reason) from None


def _missing(kube: Kube, namespace: str, name: str) -> str:
    """That a Deployment is not there, and that an Argo Rollout of that name is, where the API tells of one."""
    said = f"there is no deployment {name} in namespace {namespace}"
    try:
        kube.get(f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{name}")
    except KubeError:  # no such kind, no such object, not permitted: nothing more can be said
        return said
    return f"{said}, but an Argo Rollout: Muster undoes Deployments, so leave this one to it (rollback.strategy none)"
