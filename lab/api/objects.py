"""Writing: create, update and patch with the semantics that every kind shares, driven by its row."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lab.api import clock, errors, ownership, patches, rules
from lab.api.bodies import typed
from lab.api.errors import Cause, Causes
from lab.api.paths import Target
from lab.api.resources import Registry, Resource
from lab.api.schema import conform
from lab.api.shapes import Conformed, TypeProblem
from lab.api.store import Store, Stored

Body = dict[str, Any]
Admission = Callable[[Resource, Body, Body | None], None]
"""May refuse a write (:class:`ApiError`): called with the row, the new body after its defaults, and the old one."""
_OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName")


@dataclass(frozen=True)
class Options:
    """What the query says of a write. ``agent`` is the client's program, ``applies`` marks a server-side apply."""

    dry_run: bool = False
    validation: str = "Warn"
    manager: str = ""
    agent: str = "unknown"
    force: bool = False
    applies: bool = False

    @property
    def writer(self) -> str:
        """Who owns what this write changes: the manager it names, or its program."""
        return self.manager or self.agent


@dataclass(frozen=True)
class Written:
    """The outcome of a write: the object as it is now, whether it is new, and warnings to send along."""

    stored: Stored
    created: bool = False
    warnings: list[str] = field(default_factory=list)


class Objects:
    """The write path over one store."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self.admission: list[Admission] = []

    # -- reading one

    def get(self, at: Target) -> Stored:
        """One object. Raises 404."""
        found = self.store.get(at.row.stored_as, at.namespace, at.name)
        if found is None:
            raise errors.not_found(at.row.plural, at.row.group, at.name)
        return found

    def face(self, row: Resource, stored: Stored) -> Body:
        """The object as clients of this row see it, with kind and apiVersion."""
        body = row.outward(stored.body) if row.outward else stored.body
        return {"kind": row.kind, "apiVersion": row.api_version, **body}

    # -- create

    def create(self, at: Target, sent: Body, options: Options) -> Written:
        """Admit, default, check and store a new object. Raises 400, 403, 404, 409, 422."""
        row, namespace = at.row, at.namespace
        body, warnings = typed(sent, row, options.validation)
        self._place(row, namespace, body)
        metadata = body["metadata"]
        metadata.pop("managedFields", None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = rules.generated_name(metadata["generateName"])
        if row.namespaced:
            self._admit_to_namespace(row, namespace, metadata.get("name", ""))
        body = row.inward(body) if row.inward else body
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"):
            metadata.pop(key, None)
        row.defaults(body)
        row.prepare(body, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = clock.stamp(clock.now())
        if row.generation:
            metadata["generation"] = 1
        if row.allocate:
            row.allocate(body, [one.body for one in self.store.list(row.stored_as)])
        self._check(row, body, None)
        name = metadata["name"]
        if self.store.get(row.stored_as, namespace, name):
            raise errors.already_exists(row.plural, row.group, name)
        self._admit(row, body, None)
        if options.applies:
            ownership.applied(row, body, sent, options.writer)
        else:
            ownership.created(row, body, options.writer)
        if options.dry_run:
            return Written(Stored((namespace, name), body, 0), created=True, warnings=warnings)
        return Written(self.store.create(row.stored_as, namespace, body), created=True, warnings=warnings)

    def _place(self, row: Resource, namespace: str, body: Body) -> None:
        metadata = body["metadata"]
        if not row.namespaced:
            metadata.pop("namespace", None)
            return
        if metadata.get("namespace", namespace) != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace

    def _admit_to_namespace(self, row: Resource, namespace: str, name: str) -> None:
        home = self.store.get("namespaces", "", namespace)
        if home is None:
            raise errors.not_found("namespaces", "", namespace)
        if home.metadata.get("deletionTimestamp"):
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise errors.forbidden(
                row.plural,
                row.group,
                name,
                f"unable to create new content in namespace {namespace} because it is being terminated",
                [cause],
            )

    def _check(self, row: Resource, new: Body, old: Body | None) -> None:
        causes = Causes()
        rules.metadata(new, row.name_rule, causes)
        row.validate(new, old, causes)
        if causes.items:
            raise errors.invalid(row.kind, row.group, new["metadata"].get("name", ""), causes.items)

    def _admit(self, row: Resource, new: Body, old: Body | None) -> None:
        for admission in self.admission:
            admission(row, new, old)

    # -- update

    def update(self, at: Target, sent: Body, options: Options) -> Written:
        """Replace an object, or its status. Raises 400, 404, 409, 422."""
        old = self.get(at)
        body, warnings = typed(sent, at.row, options.validation)
        if body["metadata"].get("name", at.name) != at.name:
            raise errors.bad_request(
                f"the name of the object ({body['metadata']['name']}) does not match the name on the URL ({at.name})"
            )
        self._place(at.row, at.namespace, body)
        return Written(self._write(at, old, body, options), warnings=warnings)

    def change(self, row: Resource, old: Stored, edit: Callable[[Body], None], *, dry_run: bool = False) -> Stored:
        """Change an object by a function over a copy of its stored body, for subresources that are verbs."""
        body = copy.deepcopy(old.body)
        edit(body)
        body["metadata"].pop("resourceVersion", None)
        return self._settle(row, old, body, dry_run=dry_run)

    def _write(self, at: Target, old: Stored, body: Body, options: Options) -> Stored:
        row = at.row
        metadata, before = body["metadata"], old.metadata
        version, uid = metadata.pop("resourceVersion", None), metadata.get("uid")
        if version and version != str(old.revision):
            raise errors.conflict(row.plural, row.group, old.key[1])
        if uid and uid != before.get("uid"):
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before.get('uid')}"
            raise errors.conflict(row.plural, row.group, old.key[1], why)
        if row.inward:
            body = row.inward(body)
        if at.subresource == "status":
            body = {**old.body, "metadata": {**before}, "status": body.get("status") or {}}
            body["metadata"].pop("resourceVersion", None)
            if options.applies and metadata.get("managedFields"):
                body["metadata"]["managedFields"] = metadata["managedFields"]
            if row.schema is not None:
                self._check(row, body, old.body)
        elif at.subresource == "finalize":
            body = {**old.body, "metadata": {**before}, "spec": body.get("spec") or {}}
            body["metadata"].pop("resourceVersion", None)
        else:
            self._whole(row, old, body, options)
        return self._settle(row, old, body, dry_run=options.dry_run)

    def _whole(self, row: Resource, old: Stored, body: Body, options: Options) -> None:
        """Make ``body``, in place, what a write of all but the subresources leaves."""
        metadata, before = body["metadata"], old.metadata
        metadata["name"] = old.key[1]
        for key in _OWNED:
            metadata.pop(key, None)
            if key in before:
                metadata[key] = before[key]
        if row.has_status:
            body.pop("status", None)
            if "status" in old.body:
                body["status"] = old.body["status"]
        row.defaults(body)
        row.prepare(body, old.body)
        self._check(row, body, old.body)
        self._check_finalizers(row, body, old.body)
        self._admit(row, body, old.body)
        if not options.applies:
            ownership.updated(row, old.body, body, options.writer)

    def _check_finalizers(self, row: Resource, new: Body, old: Body) -> None:
        if not old["metadata"].get("deletionTimestamp"):
            return
        held = old["metadata"].get("finalizers") or []
        fresh = [one for one in new["metadata"].get("finalizers") or () if one not in held]
        if fresh:
            listed = ", ".join(f'"{one}"' for one in fresh)
            why = (
                "no new finalizers can be added if the object is being deleted, found new finalizers"
                f" []string{{{listed}}}"
            )
            cause = Cause("metadata.finalizers", "FieldValueForbidden", f"Forbidden: {why}")
            raise errors.invalid(row.kind, row.group, new["metadata"]["name"], [cause])

    def _settle(self, row: Resource, old: Stored, body: Body, *, dry_run: bool) -> Stored:
        """Store the new version unless nothing changed; remove the object if this write was all that it waited for."""
        before = {**old.body, "metadata": {k: v for k, v in old.metadata.items() if k != "resourceVersion"}}
        if body == before:
            return old
        if row.generation and any(
            body.get(key) != before.get(key) for key in {*body, *before} - {"metadata", "status"}
        ):
            body["metadata"]["generation"] = int(before["metadata"].get("generation") or 0) + 1
        if dry_run:
            metadata = {**body["metadata"], "resourceVersion": str(old.revision)}
            return Stored(old.key, {**body, "metadata": metadata}, old.revision)
        metadata = body["metadata"]
        waited = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
        if waited and not metadata.get("deletionGracePeriodSeconds") and not _kept(row, body):
            return self.store.delete(row.stored_as, old, body)
        return self.store.replace(row.stored_as, old, body)

    # -- patch

    def patch(self, at: Target, media: str, sent: Any, options: Options) -> Written:
        """Patch an object or its status. Raises 400, 404, 409, 415, 422."""
        if media == "application/apply-patch+yaml":
            return self._apply(at, sent, options)
        old = self.get(at)
        return self._patched(at, old, patches.patched(media, self.face(at.row, old), sent, at.row.type), sent, options)

    def _patched(self, at: Target, old: Stored, result: Body, sent: Any, options: Options) -> Written:
        row = at.row
        if (result.get("kind"), result.get("apiVersion")) != (row.kind, row.api_version):
            raise errors.bad_request("the kind and apiVersion of an object cannot be changed by a patch")
        try:
            conform(result, row.type, Conformed())
        except TypeProblem as problem:
            shown = patches.shown(sent).replace('"', '\\"')
            raise errors.invalid_patch(shown, problem.short if isinstance(sent, dict) else problem.go) from None
        body, warnings = typed(result, row, options.validation)
        metadata = body["metadata"]
        if metadata.get("name") != old.key[1] or (row.namespaced and metadata.get("namespace") != old.key[0]):
            cause = Cause("metadata.name", "FieldValueInvalid", f'Invalid value: "{old.key[1]}": field is immutable')
            raise errors.invalid(row.kind, row.group, old.key[1], [cause])
        return Written(self._write(at, old, body, options), warnings=warnings)

    def _apply(self, at: Target, sent: Any, options: Options) -> Written:
        """Server-side apply: an upsert in which each field has owners. Raises 409 for what others own otherwise."""
        if not isinstance(sent, dict):
            raise errors.bad_request("error decoding YAML: an object is expected")
        if not options.manager:
            cause = Cause("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
            raise errors.invalid("PatchOptions", "meta.k8s.io", "", [cause])
        old = self.store.get(at.row.stored_as, at.namespace, at.name)
        sent, warnings = typed(sent, at.row, options.validation)
        if "managedFields" in sent["metadata"]:
            raise errors.bad_request("metadata.managedFields must be nil")
        options = replace(options, applies=True)
        if old is None:
            metadata = {**sent["metadata"], "name": at.name}
            written = self.create(at, {**sent, "metadata": metadata}, options)
        else:
            face = self.face(at.row, old)
            result = ownership.merged(at.row, face, sent, options.manager, at.subresource, force=options.force)
            written = self._patched(at, old, result, sent, options)
        return replace(written, warnings=warnings)


def _kept(row: Resource, body: Body) -> bool:
    """A namespace stays until its own finalizers are gone."""
    return row.kind == "Namespace" and bool((body.get("spec") or {}).get("finalizers"))
