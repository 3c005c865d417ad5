"""Which children belong to an owner: the owned, and matching orphans, which are adopted."""

from __future__ import annotations

from collections.abc import Iterable

from lab.client import Client
from lab.errors import ApiError
from lab.informer import Informer
from lab.objects import controller_of, is_deleting, labels_of, matches, owner_reference
from lab.resources import Object


async def claim(client: Client, informer: Informer, owner: Object, children: Iterable[Object]) -> list[Object]:
    """Return the children that ``owner`` controls, adopting matching orphans and releasing those that no longer match.

    Raises :class:`ApiError` when an adoption fails for another reason than the orphan's end.
    """
    selector, uid = owner["spec"]["selector"], owner["metadata"]["uid"]
    owned = []
    for child in children:
        controller = controller_of(child)
        fits = matches(selector, labels_of(child))
        if controller is not None and controller["uid"] == uid:
            if fits or is_deleting(owner):
                owned.append(child)
            else:
                await _set_owners(client, informer, child, _without(child, uid))
        elif controller is None and fits and not is_deleting(owner) and not is_deleting(child):
            references = [*(child["metadata"].get("ownerReferences") or []), owner_reference(owner)]
            adopted = await _set_owners(client, informer, child, references)
            if adopted is not None:
                owned.append(adopted)
    return owned


def _without(child: Object, uid: str) -> list[Object]:
    return [owner for owner in child["metadata"]["ownerReferences"] if owner["uid"] != uid]


async def _set_owners(client: Client, informer: Informer, child: Object, references: list[Object]) -> Object | None:
    meta = child["metadata"]
    body = {"metadata": {"uid": meta["uid"], "ownerReferences": references or None}}
    try:
        changed = await client.patch(informer.resource, meta["namespace"], meta["name"], body)
    except ApiError as error:
        if error.not_found:
            return None
        raise
    informer.learn(changed)
    return changed
