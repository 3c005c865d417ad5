"""Who owns which field: ``metadata.managedFields``, kept on writes, and asked by server-side apply.

Writes of status, and of kinds that controllers and agents write all the time, are not followed unless somebody has
applied the object: nobody asks whose they are, and it would cost every one of their writes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lab.api import clock, errors, fieldsets, patches
from lab.api.errors import ApiError
from lab.api.fieldsets import ITEM, Path
from lab.api.resources import Resource

Body = dict[str, Any]
_BUSY = {"endpoints", "endpointslices", "events", "leases", "namespaces", "nodes", "pods", "replicasets"}


@dataclass(frozen=True)
class Entry:
    """One manager's fields. ``operation`` is Apply or Update; ``time`` when its set last changed."""

    manager: str
    operation: str
    api_version: str
    subresource: str
    paths: frozenset[Path]
    time: str = ""

    def is_of(self, manager: str, operation: str, api_version: str, subresource: str) -> bool:
        """Whether this is that manager's entry; one that applies has one for all versions."""
        same = (self.manager, self.operation, self.subresource) == (manager, operation, subresource)
        return same and (operation == "Apply" or self.api_version == api_version)

    def shown(self) -> str:
        """The manager as conflicts name it."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return text if self.operation == "Apply" else f"{text} using {self.api_version}"

    def encoded(self) -> Body:
        """Its form in managedFields."""
        entry = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.encode(self.paths),
            "subresource": self.subresource,
        }
        return {key: value for key, value in entry.items() if value or key == "fieldsV1"}


def _entries(managed: Any) -> list[Entry] | None:
    """The entries of managedFields; None when they are not well formed."""
    try:
        return [
            Entry(
                str(one["manager"]),
                str(one["operation"]),
                str(one.get("apiVersion") or ""),
                str(one.get("subresource") or ""),
                frozenset(fieldsets.decode(one.get("fieldsV1") or {})),
                str(one.get("time") or ""),
            )
            for one in managed or ()
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _keep(metadata: Body, entries: list[Entry]) -> None:
    held = sorted((one for one in entries if one.paths), key=lambda one: (one.operation, one.time, one.manager))
    metadata.pop("managedFields", None)
    if held:
        metadata["managedFields"] = [one.encoded() for one in held]


def _with(entries: list[Entry], entry: Entry) -> list[Entry]:
    """``entries`` with this one in place of the manager's own; its time changes only if its fields do."""
    wanted = (entry.manager, entry.operation, entry.api_version, entry.subresource)
    others = [one for one in entries if not one.is_of(*wanted)]
    before = next((one for one in entries if one.is_of(*wanted)), None)
    if before is not None and before.paths == entry.paths:
        return [*others, before]
    return [*others, replace(entry, time=clock.stamp(clock.now()))]


def _follows(row: Resource, managed: Any) -> bool:
    """Whether plain writes of this kind, or of this object, are followed. Faces of other kinds have no sets."""
    return row.inward is None and (bool(managed) or row.plural not in _BUSY)


def created(row: Resource, body: Body, manager: str) -> None:
    """Note, in place, that all of a new object is its creator's."""
    if not _follows(row, None):
        return
    paths = frozenset(fieldsets.fields(body, row.type, status=False))
    entry = Entry(manager, "Update", row.api_version, "", paths)
    _keep(body["metadata"], _with([], entry))


def applied(row: Resource, body: Body, sent: Body, manager: str) -> None:
    """Note, in place, that what was sent of a new object is the manager's who applied it."""
    if row.inward is None:
        paths = frozenset(fieldsets.fields(sent, row.type, status=False))
        _keep(body["metadata"], _with([], Entry(manager, "Apply", row.api_version, "", paths)))


def updated(row: Resource, old: Body, new: Body, manager: str, subresource: str = "") -> None:
    """Note, in place in ``new``, that what a write changed is its writer's now and nobody else's.

    managedFields that the client sent count, as for a client that migrates them; nonsense does not.
    """
    held, given = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if not _follows(row, held or given):
        new["metadata"].pop("managedFields", None)
        return
    entries = _entries(given if given is not None else held)
    if entries is None:
        entries = _entries(held) or []
    before = fieldsets.fields(old, row.type, status=False)
    after = fieldsets.fields(new, row.type, status=False)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    touched = changed | (before.keys() - after.keys())
    if touched:
        mine = (manager, "Update", row.api_version, subresource)
        own = frozenset(changed).union(*(one.paths for one in entries if one.is_of(*mine))) & after.keys()
        entries = [one if one.is_of(*mine) else replace(one, paths=one.paths - touched) for one in entries]
        entries = _with(entries, Entry(*mine, own))
    _keep(new["metadata"], entries)


def merged(row: Resource, face: Body, sent: Body, manager: str, subresource: str, *, force: bool) -> Body:
    """``face`` after an apply of ``sent``: conflicts settled, what the manager no longer applies removed.

    Raises 409 for fields that others own with another value, unless ``force`` takes them.
    """
    if row.inward is not None:
        result: Body = patches.apply_merge(face, sent, row.type)
        return result
    status = subresource == "status"
    wanted, live = (fieldsets.fields(body, row.type, status=status) for body in (sent, face))
    entries = _entries(face["metadata"].get("managedFields")) or []
    mine = (manager, "Apply", row.api_version, subresource)
    earlier = frozenset[Path]().union(*(one.paths for one in entries if one.is_of(*mine)))
    others = [one for one in entries if not one.is_of(*mine)]
    differing = {path for path, value in wanted.items() if value is not ITEM and live.get(path, ITEM) != value}
    conflicts = [(one, path) for one in others for path in sorted(one.paths & differing)]
    if conflicts and not force:
        raise _conflict(conflicts)
    others = [replace(one, paths=one.paths - differing) for one in others]
    kept = fieldsets.prefixes([*wanted, *(path for one in others for path in one.paths)])
    trimmed = fieldsets.without(face, fieldsets.prefixes(earlier) - kept, row.type)
    result = patches.apply_merge(trimmed, sent, row.type)
    result["metadata"] = dict(result["metadata"])
    before = [*others, *(one for one in entries if one.is_of(*mine))]
    _keep(result["metadata"], _with(before, Entry(*mine, frozenset(wanted))))
    return result


def _conflict(conflicts: list[tuple[Entry, Path]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {entry.shown()}",
            "field": fieldsets.shown(path),
        }
        for entry, path in conflicts
    ]
    if len(conflicts) == 1:
        entry, path = conflicts[0]
        text = f"Apply failed with 1 conflict: conflict with {entry.shown()}: {fieldsets.shown(path)}"
    else:
        lines = []
        for name in sorted({entry.shown() for entry, _ in conflicts}):
            lines.append(f"conflicts with {name}:")
            lines += [f"- {fieldsets.shown(path)}" for entry, path in conflicts if entry.shown() == name]
        text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    return errors.ApiError(409, "Conflict", text, details={"causes": causes})
