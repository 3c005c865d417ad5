"""Finding, reading and validating ``systems/<name>.yaml``; every mistake is one sentence with its place."""

from __future__ import annotations

from pathlib import Path

from muster.system.model import Environment, System


def load_system(name: str, root: Path | None = None) -> System:
    """The facts of ``systems/<name>.yaml`` below ``root`` (default: the working folder, then Muster's own checkout).

    Raises :class:`~muster.errors.UsageError`: unknown names offer the known ones, a YAML or validation error names
    file, line, key and what was expected.
    """
    raise NotImplementedError


def load_environment(system: System, name: str, root: Path | None = None) -> Environment:
    """The environment of that name with ``${key}`` filled in from its ``endpoints_file``.

    Raises :class:`~muster.errors.UsageError` for an unknown name (the known ones are offered) and, when the endpoints
    file does not exist, a sentence that says how to start it.
    """
    raise NotImplementedError
