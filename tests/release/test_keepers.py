"""Who may revert an undo in the cluster, by the marks that GitOps leaves on what it keeps."""

import pytest

from muster.release import keeper_of

ARGO, FLUX = "argocd.argoproj.io", "toolkit.fluxcd.io"


@pytest.mark.parametrize(
    ("labels", "annotations", "keeper"),
    [
        ({}, {f"{ARGO}/tracking-id": "shop:apps/Deployment:shop/web"}, "Argo CD (application shop)"),
        ({f"{ARGO}/instance": "shop"}, None, "Argo CD (application shop)"),
        ({"app.kubernetes.io/instance": "shop"}, {f"{ARGO}/sync-wave": "1"}, "Argo CD (application shop)"),
        ({f"kustomize.{FLUX}/name": "apps"}, None, "Flux (Kustomization apps)"),
        ({f"helm.{FLUX}/name": "web"}, {}, "Flux (HelmRelease web)"),
        ({"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "Helm"}, {}, ""),
        (None, None, ""),
    ],
)
def test_deployment_says_who_keeps_it(labels, annotations, keeper):
    """Helm alone keeps nothing: its instance label means Argo CD only beside a mark of Argo's own."""
    assert keeper_of({"metadata": {"labels": labels, "annotations": annotations}}) == keeper
