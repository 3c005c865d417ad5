"""What an image is in the lab: a command from ``images.yaml``, with a true digest of what would run."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError

Object = dict[str, Any]
_log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the package lab


@dataclass(frozen=True)
class Image:
    """One tagged image. ``pause`` starts no process; ``files`` are what its program consists of.

    ``warm``: ``{python} -m MODULE`` that reads its environment when it runs, not when it is imported.
    """

    reference: str
    repository: str
    command: tuple[str, ...]
    env: dict[str, str]
    pause: bool
    files: tuple[Path, ...]
    warm: bool = False

    def argv(self, container: Object) -> list[str]:
        """The command line: the container's ``command`` replaces the image's, ``args`` follow."""
        return [*(container.get("command") or self.command), *(container.get("args") or [])]

    def files_digest(self) -> str:
        """SHA-256 over what the program consists of, as it is on disk now; raises OSError."""
        return _digest_files(self.files)

    def digest_id(self, container: Object) -> str:
        """``repository@sha256:...`` over program files, command, env and the container's own literals.

        Another environment is another build: a release that only flips a variable has another digest.
        """
        own = {key: container.get(key) for key in ("command", "args", "env", "envFrom")}
        content = [self.files_digest(), self.command, self.env, own]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.repository}@sha256:{digest}"


class Catalog:
    """The images that can be "pulled"; the file is read again when it changes, so a new tag needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._images: dict[str, Object] = {}
        self._read()

    def _read(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp == self._stamp:
                return
            content = yaml.safe_load(self._path.read_text())
            images = content["images"]
            if not all(entry.get("pause") or entry.get("command") for entry in images.values()):
                raise LabError(f"image file {self._path}: each image needs a command or pause: true")
            if any(entry.get("warm") and entry["command"][:2] != ["{python}", "-m"] for entry in images.values()):
                raise LabError(f"image file {self._path}: only {{python}} -m MODULE can be warm")
        except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise LabError(f"image file {self._path} cannot be used: {error}") from None
        self._images, self._stamp = images, stamp

    def find(self, reference: str) -> Image | None:
        """The image of this reference (no tag: ``latest``), or None when it cannot be pulled."""
        try:
            self._read()
        except LabError as error:  # somebody is editing it: what was known still holds
            _log.warning("%s", error)
        repository, tag = split(reference)
        entry = self._images.get(repository)
        if entry is None or not {tag, "*"} & {str(known) for known in entry.get("tags", [])}:
            return None
        fill = {"python": sys.executable, "bin": str(Path(sys.executable).parent), "root": str(ROOT), "tag": tag}
        return Image(
            reference=reference,
            repository=repository,
            command=tuple(_filled(word, fill) for word in entry.get("command", [])),
            env={key: _filled(value, fill) for key, value in (entry.get("env") or {}).items()},
            pause=bool(entry.get("pause")),
            files=tuple(self._locate(name) for name in entry.get("files", [])),
            warm=bool(entry.get("warm")),
        )

    def warm(self) -> Iterator[Image]:
        """One image of each repository that is marked ``warm``."""
        for repository, entry in self._images.items():
            if entry.get("warm") and entry.get("tags"):
                image = self.find(f"{repository}:{entry['tags'][0]}")
                if image is not None:
                    yield image

    def pause(self) -> str:
        """The reference of an image that starts no process. Raises :class:`LabError` when there is none."""
        for repository, entry in self._images.items():
            if entry.get("pause") and entry.get("tags"):
                return f"{repository}:{entry['tags'][0]}"
        raise LabError(f"image file {self._path} has no image with pause: true")

    def _locate(self, name: str) -> Path:
        beside = self._path.parent / name
        return beside if beside.exists() else ROOT / name


def split(reference: str) -> tuple[str, str]:
    """``(repository, tag)``; a colon before the last slash belongs to a registry's port."""
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")


def _filled(text: object, values: dict[str, str]) -> str:
    result = str(text)
    for key, value in values.items():
        result = result.replace(f"{{{key}}}", value)
    return result


_digests: dict[tuple[tuple[str, int, int], ...], str] = {}


def _digest_files(roots: tuple[Path, ...]) -> str:
    files = [
        file
        for root in roots
        for file in ([root] if root.is_file() else sorted(root.rglob("*")))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    stamps = [(file, file.stat()) for file in files]
    signature = tuple((str(file), stat.st_mtime_ns, stat.st_size) for file, stat in stamps)
    if signature not in _digests:
        whole = hashlib.sha256()
        for file in files:
            whole.update(file.name.encode() + b"\0" + file.read_bytes())
        _digests[signature] = whole.hexdigest()
    return _digests[signature]
