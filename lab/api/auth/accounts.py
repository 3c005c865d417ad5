"""Service accounts: one named ``default`` in every namespace, accounts of pods, and their tokens on request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lab.api import clock, errors
from lab.api.auth.tokens import ISSUER, Tokens
from lab.api.errors import ApiError, Cause, Causes
from lab.api.objects import Objects, Options
from lab.api.paths import Target
from lab.api.resources import Resource
from lab.api.store import Event, Store, Stored

Body = dict[str, Any]
_SHORTEST_S, _USUAL_S, _LONGEST_S = 600, 3600, 1 << 32
_BOUND = {("Pod", "v1"): "pods", ("Secret", "v1"): "secrets", ("Node", "v1"): "nodes"}


class DefaultAccounts:
    """Keeps an account ``default`` in every namespace that is not on its way out."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def start(self) -> None:
        """Make what is missing, and follow the store from here on."""
        self._objects.store.listeners.append(self._notice)
        for home in self._objects.store.list("namespaces"):
            self._ensure(home.key[1])

    def _notice(self, kind: str, event: Event) -> None:
        namespace, name = event.after.key
        if kind == "namespaces" and event.type == "ADDED":
            self._ensure(name)
        elif kind == "serviceaccounts" and event.type == "DELETED" and name == "default":
            self._ensure(namespace)

    def _ensure(self, namespace: str) -> None:
        objects = self._objects
        home = objects.store.get("namespaces", "", namespace)
        if home is None or home.metadata.get("deletionTimestamp"):
            return
        row = objects.registry.find("", "v1", "serviceaccounts")
        if row is not None and objects.store.get("serviceaccounts", namespace, "default") is None:
            objects.create(Target(row, namespace), {"metadata": {"name": "default"}}, Options())


def admit_pod(store: Store, row: Resource, body: Body) -> None:
    """A pod's account must be there before the pod. Raises 403."""
    if row.stored_as != "pods":
        return
    metadata, account = body["metadata"], body["spec"]["serviceAccountName"]
    namespace = metadata["namespace"]
    if store.get("serviceaccounts", namespace, account) is None:
        why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        raise errors.forbidden("pods", "", metadata.get("name", ""), why)


# -- tokens


def request_token(objects: Objects, tokens: Tokens, at: Target, sent: Body) -> Body:
    """Answer a TokenRequest. Raises 404, 409, 422."""
    account, spec = objects.get(at), sent.get("spec") or {}
    audiences = list(spec.get("audiences") or [ISSUER])
    seconds = _USUAL_S if spec.get("expirationSeconds") is None else spec["expirationSeconds"]
    causes = Causes()
    where = "spec.expirationSeconds"
    if seconds < _SHORTEST_S:
        causes.invalid(where, str(seconds), "may not specify a duration less than 10 minutes")
    if seconds > _LONGEST_S:
        causes.invalid(where, str(seconds), "may not specify a duration larger than 2^32 seconds")
    if causes.items:
        raise errors.invalid("TokenRequest", "authentication.k8s.io", "", causes.items)
    reference = spec.get("boundObjectRef")
    bound = _bound(objects.store, account, reference) if reference else None
    now = clock.now()
    token = tokens.issue(account, audiences, now, seconds, bound)
    ends = clock.stamp(now + timedelta(seconds=seconds))
    metadata = {key: account.metadata[key] for key in ("name", "namespace", "uid")}
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {**metadata, "creationTimestamp": clock.stamp(now)},
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference},
        "status": {"token": token, "expirationTimestamp": ends},
    }


def _bound(store: Store, account: Stored, reference: Body) -> tuple[str, Stored]:
    """The object with whose end a token ends: its kind in lower case, and itself. Raises 404, 409, 422."""
    kind, name = reference.get("kind", ""), reference.get("name", "")
    plural = _BOUND.get((kind, reference.get("apiVersion") or "v1"))
    if plural is None:
        why = f'Invalid value: "{kind}": cannot bind token to object of this kind'
        cause = Cause("spec.boundObjectRef", "FieldValueInvalid", why)
        raise errors.invalid("TokenRequest", "authentication.k8s.io", "", [cause])
    stored = store.get(plural, "" if plural == "nodes" else account.key[0], name)
    if stored is None:
        raise errors.not_found(plural, "", name)
    uid = reference.get("uid")
    if uid and uid != stored.metadata["uid"]:
        found = stored.metadata["uid"]
        why = f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have"
        raise errors.conflict(plural, "", name, f"{why} been deleted and then recreated: {found}")
    owner = (stored.body.get("spec") or {}).get("serviceAccountName") or "default"
    if plural == "pods" and owner != account.key[1]:
        raise _other_account(name, account.key[1])
    return kind.lower(), stored


def _other_account(pod: str, account: str) -> ApiError:
    return errors.bad_request(
        f'cannot bind token for serviceaccount "{account}" to pod "{pod}" running with different serviceaccount name.'
    )
