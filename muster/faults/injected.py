"""What a bad release put into a pod template, found again in whatever has become of it, and taken out again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from muster.faults.ledger import Entry
from muster.workload import (
    Json,
    Workload,
    hash_of,
    is_terminating,
    plain,
    revision,
    same_build,
    same_template,
    template_of,
)

STORED = "stored"  # key in an entry's undo: the bad template as the API stored it


def released(entry: Entry) -> Json:
    """The bad template as its pods have it."""
    template: Json = entry.undo.get(STORED, entry.undo["bad"])
    return template


@dataclass(frozen=True)
class Injected:
    """A bad release as its record tells of it.

    ``bad`` is what was sent and, where it is known, what the API made of it (an admission webhook may write a digest
    for an image). ``since`` is the revision that ran before, None in old records. Unless ``sure``, a digest without
    another tag, in the repository of the injected image, is taken for that image.
    """

    good: Json
    bad: tuple[Json, ...]
    since: int | None
    sure: bool = False

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """What the record says."""
        undo = entry.undo
        bad = (undo["bad"], *([undo[STORED]] if STORED in undo else []))
        return cls(good=undo["good"], bad=bad, since=undo.get("revision"))

    def instead_of(self, template: Json) -> Json | None:
        """What is to be asked for in place of ``template``; None when nothing in it was injected.

        For the bad release itself that is the good one. Where somebody has changed more meanwhile, exactly what was
        injected is put back to what the good one had, and all else stays.
        """
        if any(same_build(template, bad) for bad in self.bad):
            return self.good
        return self._taken_out_of(template) if self.left_in(template) else None

    def found_as(self, template: Json) -> Self:
        """The same, once it was seen in this template: its image's name is guessed no longer."""
        return replace(self, bad=(*self.bad, template), sure=True)

    def left_in(self, template: Json) -> list[str]:
        """What of it this template still has, in words without values: ``variable NAME``, ``image NAME``."""
        left = []
        for container in template["spec"]["containers"]:
            was, bad = self._pair(container["name"])
            if was is None or bad is None:
                continue
            left += [f"variable {name}" for name in sorted(_same_variables(container, _changed(was, bad)))]
            if self._is_injected_image(container["image"], was, bad):
                left.append(f"image {container['image']}")
        return left

    def releases(self, seen: Workload, asked: Json) -> list[Json]:
        """The ReplicaSets by which it was released, also with others' changes on top; never the one of ``asked``."""
        return [
            item
            for item in seen.replicasets
            if not same_template(template_of(item), asked) and self._is_release(template_of(item), revision(item))
        ]

    def pods_left(self, seen: Workload) -> list[Json]:
        """The pods of those ReplicaSets that are not terminating, while the Deployment asks for another one."""
        hashes = {hash_of(item) for item in self.releases(seen, seen.template)}
        return [pod for pod in seen.pods if hash_of(pod) in hashes and not is_terminating(pod)]

    def _is_release(self, template: Json, number: int) -> bool:
        exact = any(same_build(template, bad) for bad in self.bad)
        if self.since is None:
            return exact
        return number > self.since and (exact or bool(self.left_in(template)))

    def _taken_out_of(self, template: Json) -> Json:
        result = copy.deepcopy(template)
        for container in result["spec"]["containers"]:
            was, bad = self._pair(container["name"])
            if was is None or bad is None:
                continue
            if self._is_injected_image(container["image"], was, bad):
                container["image"] = was["image"]
            names = _same_variables(container, _changed(was, bad))
            variables = _put_back(container.get("env") or [], was.get("env") or [], names)
            if variables or "env" in was:
                container["env"] = variables
            else:
                container.pop("env", None)
        return result

    def _pair(self, container: str) -> tuple[Json | None, Json | None]:
        """The container in the good and in the bad template."""
        return _container(self.good, container), _container(self.bad[0], container)

    def _is_injected_image(self, image: str, was: Json, bad: Json) -> bool:
        if bad["image"] == was["image"] or image == was["image"]:
            return False
        if "@" in image and not self.sure:
            (name, tag), (injected, injected_tag) = _parts(image), _parts(bad["image"])
            if name == injected and tag in ("", injected_tag):
                return True
        known = [_container(template, bad["name"]) for template in self.bad]
        return image in [item["image"] for item in known if item is not None]


def _container(template: Json, name: str) -> Json | None:
    return next((item for item in template["spec"]["containers"] if item["name"] == name), None)


def _changed(was: Json, bad: Json) -> dict[str, Json]:
    """The variables that the bad container has and the good one has not, or not so."""
    before = dict(_variables(was))
    return {name: item for name, item in _variables(bad) if before.get(name) != item}


def _same_variables(container: Json, wanted: dict[str, Json]) -> set[str]:
    return {name for name, item in _variables(container) if wanted.get(name) == item}


def _variables(container: Json) -> Iterator[tuple[str, Json]]:
    """Name and item of each variable, as the API keeps them: an empty value is none."""
    for item in container.get("env") or []:
        yield item["name"], {key: value for key, value in plain(item).items() if (key, value) != ("value", "")}


def _put_back(now: list[Json], was: list[Json], names: set[str]) -> list[Json]:
    """``now`` with these variables as they were: where they stood among the others, for one may refer to another."""
    kept = [item for item in now if item["name"] not in names]
    for index, item in enumerate(was):
        if item["name"] in names:
            before = {other["name"] for other in was[:index]}
            at = max((place + 1 for place, other in enumerate(kept) if other["name"] in before), default=0)
            kept.insert(at, copy.deepcopy(item))
    return kept


def _parts(image: str) -> tuple[str, str]:
    """Repository and tag of an image's reference, without its digest."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}", tag
