"""Filling ``${key}`` in an environment: endpoints for lower-case keys, the process environment for capitals."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.errors import UsageError
from muster.system.place import offer

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fill:
    """Fills every string of a section."""

    class Missing(Exception):  # noqa: N818 - caught by the loader, which knows the place
        """Nothing fills a key; ``path`` leads to the string that wants it, ``key`` is the endpoint that is missing."""

        path: tuple[str | int, ...] = ()

        def __init__(self, message: str, key: str = "") -> None:
            super().__init__(message)
            self.key = key

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self.endpoints = endpoints

    def tree(self, value: Any, path: tuple[str | int, ...] = ()) -> Any:
        """The same tree with its strings filled. ``endpoints_file`` may only use the process environment."""
        if isinstance(value, dict):
            return {key: self.tree(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            filled = expand(value, self.endpoints)
        except Fill.Missing as error:
            error.path = path
            raise
        return str(at_home(filled)) if filled.startswith("~/") else filled


def at_home(path: str) -> Path:
    """The path with its "~" filled in. A home that nobody knows leaves it as it is written: such a file is missing."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user; or no HOME, and none of this user's on record, as in many a container
        return Path(path)


def expand(text: str, endpoints: Mapping[str, str]) -> str:
    """``text`` with each ``${...}`` replaced; defaults after ``:-`` may hold further ones. Raises Fill.Missing.

    As in a shell, an empty variable counts as unset where a default is given. ``$${`` is a plain ``${``.
    """
    parts: list[str] = []
    rest = text
    while (start := rest.find("${")) >= 0:
        if start and rest[start - 1] == "$":
            parts.append(rest[: start - 1] + "${")
            rest = rest[start + 2 :]
            continue
        end = _closing(rest, start + 2)
        parts.append(rest[:start] + _value(rest[start + 2 : end], endpoints))
        rest = rest[end + 1 :]
    return "".join(parts) + rest


def _closing(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        if text.startswith("${", index):
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    raise Fill.Missing(f"found {text!r}, expected a closing brace")


def _value(inside: str, endpoints: Mapping[str, str]) -> str:
    name, separator, default = inside.partition(":-")
    if not _NAME.fullmatch(name):
        raise Fill.Missing(f"found ${{{inside}}}, expected ${{key}}, ${{NAME}} or ${{NAME:-default}}")
    found = endpoints.get(name) or (os.environ.get(name) if name.isupper() else None)
    if found:
        return found
    if separator:
        return expand(default, endpoints)
    if name.isupper():
        raise Fill.Missing(f"${{{name}}} is not set in the process environment and has no default")
    raise Fill.Missing(f"nothing fills ${{{name}}} ({offer(name, endpoints)})", name)


def endpoints_from(file: Path, environment: str, system: str, *, embedded: bool) -> dict[str, str]:
    """The addresses of a running environment. Raises :class:`UsageError` when it does not run."""
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        start = f": start it with 'muster {environment} up'" if embedded else ""
        raise UsageError(f"environment {environment} of {system} is not running (no {shown}){start}") from None
    except OSError as error:
        raise UsageError(f"environment {environment} of {system}: {shown} cannot be read: {error}") from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        again = remedy(environment, embedded=embedded)
        raise UsageError(f"environment {environment} of {system}: {shown} is damaged, it holds no addresses{again}")
    return {str(key): str(value) for key, value in content.items()}


def remedy(environment: str, *, embedded: bool) -> str:
    """What puts a damaged endpoints file right, for the end of a sentence; empty where Muster did not write it."""
    return f": run 'muster {environment} down' and 'muster {environment} up'" if embedded else ""
