"""Which experiments are meant: by name, glob, tag or file. What nothing answers to is refused, with what there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from muster.errors import UsageError
from muster.plain_yaml import read_yaml

ALL = "all"


def select(folder: Path, words: Sequence[str]) -> list[Path]:
    """The experiments of ``folder`` that these words mean, each once, in the words' order; no word means all.

    A word is an experiment's name (``bad-release``), a glob over names (``pqc-*``), a tag (``quarterly``), ``all``, or
    the path of a file anywhere. Raises :class:`~muster.errors.UsageError` for a word that means nothing.
    """
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    tags = {name: tags_of(file) for name, file in known.items()}
    chosen: dict[Path, None] = {}
    for word in words or (ALL,):
        chosen.update(dict.fromkeys(_meant(word, known, tags, folder)))
    return list(chosen)


def tags_of(file: Path) -> frozenset[str]:
    """The tags of one experiment file; none where it cannot be read, which running it will say better."""
    found = _read(file).get("tags")
    return frozenset(str(tag) for tag in found) if isinstance(found, list) else frozenset()


def title_of(file: Path) -> str:
    """The title of one experiment file; empty where it cannot be read."""
    return str(_read(file).get("title") or "")


def _read(file: Path) -> dict[str, Any]:
    try:
        body = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return body if isinstance(body, dict) else {}


def _meant(word: str, known: dict[str, Path], tags: dict[str, frozenset[str]], folder: Path) -> Iterable[Path]:
    if word in known:
        return [known[word]]
    if word == ALL:
        return known.values()
    tagged = [known[name] for name in known if word in tags[name]]
    if tagged:
        return tagged
    matching = [file for name, file in known.items() if fnmatchcase(name, word)]
    if matching:
        return matching
    if Path(word).is_file():
        return [Path(word)]
    every = sorted(frozenset().union(*tags.values()))
    names = ", ".join(known) or "no experiment"
    raise UsageError(
        f"there is no experiment {word!r}: {folder.name}/ has {names}; tags are {', '.join(every) or 'none'}"
    )
