"""A Lease of coordination.k8s.io: one holder at a time among machines that share nothing but the cluster.

Whoever holds one must renew it; one that was not renewed for its duration is anybody's. The resourceVersion that was
read makes each change one writer's. Clocks may differ by less than the duration; where they differ by more, the holder
that was taken for dead notices at its next renewal.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from muster.errors import MusterError
from muster.kube import Kube, KubeError
from muster.workload import Json, epoch

FOLDER = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
DURATION_S = 15
Notes = Mapping[str, str | None]  # annotations; None takes one off


class LeaseError(MusterError):
    """The Lease is somebody else's."""


class LeaseHeldError(LeaseError):
    """Somebody else holds the Lease."""


class LeaseLostError(LeaseError):
    """The Lease is not ours any more."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a Lease and since when (seconds since the epoch); ``note`` is what the holder wrote with it."""

    name: str
    since: float
    note: str = ""


class Lease:
    """The Lease ``name``, held under the name ``me``, which no other living process may use.

    ``note`` is kept in the annotation ``muster.dev/note``. Not for several threads at once.
    """

    NOTE = "muster.dev/note"

    def __init__(self, kube: Kube, namespace: str, name: str, *, me: str, note: str = "") -> None:
        self._kube, self._namespace, self.name, self._me, self._note = kube, namespace, name, me, note
        self._folder = FOLDER.format(namespace)
        self._held: Json | None = None

    def holder(self) -> Holder | None:
        """Who holds it now; None when nobody (any more) does. Raises :class:`~muster.kube.KubeError`."""
        return holder_of(self.read())

    def take(self, *, instead_of: Holder | None = None) -> None:
        """Take it when it is free or has expired, or is still ``instead_of``'s, who is known to be dead.

        Raises :class:`LeaseHeldError` when somebody else has it or was faster, :class:`~muster.kube.KubeError`.
        """
        lease = self.read()
        holder = holder_of(lease)
        if holder is not None and holder != instead_of:
            raise LeaseHeldError(f"{holder.name} holds the Lease {self.name}")
        self.claim(lease, {self.NOTE: self._note})

    def claim(self, lease: Json | None, notes: Notes) -> None:
        """Take it as it was read, with these annotations, whoever held it then: that this may be is the caller's word.

        Raises :class:`LeaseHeldError` when it was changed since, :class:`~muster.kube.KubeError`.
        """
        lease = lease or {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self._namespace},
        }
        moment = micro_time()
        spec = {
            "holderIdentity": self._me,
            "leaseDurationSeconds": DURATION_S,
            "acquireTime": moment,
            "renewTime": moment,
            "leaseTransitions": int((lease.get("spec") or {}).get("leaseTransitions") or 0) + 1,
        }
        taken = _annotated({**lease, "spec": spec}, notes)
        try:
            if "resourceVersion" in taken["metadata"]:
                self._held = self._kube.put(f"{self._folder}/{self.name}", taken)
            else:
                self._held = self._kube.post(self._folder, taken)
        except KubeError as error:
            if error.status == 409:
                raise LeaseHeldError(f"somebody else was faster to take the Lease {self.name}") from error
            raise

    def renew(self) -> None:
        """Say that its holder lives. Raises :class:`LeaseLostError`, :class:`~muster.kube.KubeError`."""
        self.change({})

    def release(self) -> None:
        """Let go; does nothing when it is not held, or not any more. Raises :class:`~muster.kube.KubeError`."""
        with contextlib.suppress(LeaseLostError):
            self.let_go({})
        self._held = None

    def let_go(self, notes: Notes) -> None:
        """Let go, leaving these annotations; does nothing when it is not held. Raises as :meth:`renew` does."""
        if self._held is not None:
            self.change(notes, {"holderIdentity": "", "leaseDurationSeconds": 1})
            self._held = None

    @property
    def held(self) -> bool:
        """Whether it was taken, and not let go since; somebody else may have taken it over."""
        return self._held is not None

    @property
    def notes(self) -> dict[str, str]:
        """The annotations of what is held; empty when nothing is."""
        return dict((self._held or {"metadata": {}})["metadata"].get("annotations") or {})

    def change(self, notes: Notes, spec: Json | None = None) -> None:
        """Renew it with these annotations (None takes one off); a change by somebody who did not take it is kept.

        Raises :class:`LeaseLostError`, :class:`~muster.kube.KubeError`.
        """
        for last_try in (False, True):
            held = self._held
            if held is None:
                raise LeaseLostError(f"the Lease {self.name} is not held")
            try:
                path = f"{self._folder}/{self.name}"
                renewed = {**held, "spec": {**held["spec"], "renewTime": micro_time(), **(spec or {})}}
                self._held = self._kube.put(path, _annotated(renewed, notes))
            except KubeError as error:
                if error.status not in (404, 409):
                    raise
                self._held = self._mine(self.read())
                if last_try:
                    raise
            else:
                return

    def _mine(self, lease: Json | None) -> Json:
        """The Lease as it is now, if it is still ours. Raises :class:`LeaseLostError`: who has it."""
        if lease is None:
            raise LeaseLostError(f"the Lease {self.name} was deleted")
        name = str((lease.get("spec") or {}).get("holderIdentity") or "nobody")
        if name != self._me:
            raise LeaseLostError(f"{name} has taken the Lease {self.name}")
        return lease

    def read(self) -> Json | None:
        """The object as it is now; None when there is none. Raises :class:`~muster.kube.KubeError`."""
        return self._kube.find(f"{self._folder}/{self.name}")


def _annotated(lease: Json, notes: Notes) -> Json:
    kept = {**(lease["metadata"].get("annotations") or {}), **notes}
    annotations = {key: value for key, value in kept.items() if value is not None}
    return {**lease, "metadata": {**lease["metadata"], "annotations": annotations}}


def holder_of(lease: Json | None) -> Holder | None:
    """Who holds a Lease as it was read; None when it is not there, free or expired."""
    spec = (lease or {}).get("spec") or {}
    name = str(spec.get("holderIdentity") or "")
    if lease is None or not name or expires_at(spec) < time.time():
        return None
    since = 0.0
    with contextlib.suppress(ValueError, TypeError):
        since = epoch(spec.get("acquireTime"))
    return Holder(name=name, since=since, note=str((lease["metadata"].get("annotations") or {}).get(Lease.NOTE, "")))


def expires_at(spec: Json) -> float:
    """When a Lease of this spec is anybody's, seconds since the epoch; 0 where its times cannot be read."""
    with contextlib.suppress(ValueError, TypeError):
        return epoch(spec.get("renewTime")) + float(spec.get("leaseDurationSeconds") or 0)
    return 0.0


def micro_time() -> str:
    """This moment as a Lease writes it (MicroTime)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
