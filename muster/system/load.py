"""Finding, reading and validating ``systems/<name>.yaml``; every mistake is one sentence with its place."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from muster.errors import UsageError
from muster.system.fill import Fill, endpoints_from, expand, remedy
from muster.system.model import Environment, System
from muster.system.place import duplicates, known_keys, line_of, offer

_CHECKOUT = Path(__file__).resolve().parents[2]
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Model = TypeVar("_Model", bound=BaseModel)


def load_system(name: str, root: Path | None = None) -> System:
    """The facts of ``systems/<name>.yaml`` below ``root`` (default: the working folder, then Muster's own checkout).

    Raises :class:`~muster.errors.UsageError`: unknown names offer the known ones, a YAML or validation error names
    file, line, key and what was expected.
    """
    known = _files(root)
    if name not in known:
        raise UsageError(f"there is no system {name!r}: {offer(name, known)}")
    file = known[name]
    try:
        found = file.stat()
    except OSError as error:
        raise UsageError(f"{_shown(file)} cannot be read: {error}") from None
    return _system(file, name, (found.st_ino, found.st_mtime_ns, found.st_size))


def system_names(root: Path | None = None) -> list[str]:
    """The names of the systems in the first folder that has any: with systems of your own the example is none."""
    found = ([file.stem for file in folder.glob("*.yaml")] for folder in _folders(root))
    return sorted(next(filter(None, found), []))


def _files(root: Path | None) -> dict[str, Path]:
    return {file.stem: file for folder in reversed(_folders(root)) for file in folder.glob("*.yaml")}


def _folders(root: Path | None) -> list[Path]:
    return [base / "systems" for base in ([root] if root else [Path.cwd(), _CHECKOUT])]


@lru_cache(maxsize=8)  # command line, checks and drill each ask for them; they are frozen
def _system(file: Path, name: str, _version: tuple[int, int, int]) -> System:
    node, raw = _read(file)
    system = _validate(System, raw, node, file, ())
    if system.name != name:
        line = line_of(node, ["name"])
        raise UsageError(
            f"{_shown(file)}:{line}: name: found {system.name!r}, expected {name!r}, as the file is called"
        )
    system._file = file  # noqa: SLF001 - the loader's own field
    return system


def load_fact(model: type[_Model], file: Path) -> _Model:
    """Any other YAML file of facts, with errors of the same kind. Raises :class:`~muster.errors.UsageError`."""
    node, raw = _read(file)
    return _validate(model, raw, node, file, ())


def load_environment(
    system: System, name: str, root: Path | None = None, endpoints: dict[str, str] | None = None
) -> Environment:
    """The environment of that name with ``${key}`` filled in.

    ``${key}`` comes from ``endpoints`` or else from the environment's ``endpoints_file``; ``${NAME}`` and
    ``${NAME:-default}`` in capitals come from the process environment. ``root`` is the folder that a relative
    ``endpoints_file`` is looked up from (default: the working folder).

    Raises :class:`~muster.errors.UsageError` for an unknown name (the known ones are offered), for a key that nothing
    fills and, when the endpoints file does not exist, with a sentence that says how to start the environment.
    """
    if name not in system.environments:
        raise UsageError(f"{system.name} has no environment {name!r}: {offer(name, system.environments)}")
    section = {**system.environments[name], "name": name}
    file, place = system._file, ("environments", name)  # noqa: SLF001 - the loader's own field
    base, endpoints_file = root or Path.cwd(), None
    try:
        if endpoints is None and section.get("endpoints_file"):
            endpoints_file = base / expand(str(section["endpoints_file"]), {})
            endpoints = endpoints_from(endpoints_file, name, system.name, embedded=bool(section.get("embedded")))
        filled = Fill(endpoints or {}).tree(section)
    except Fill.Missing as error:
        where = _where(file, (*place, *error.path))
        if endpoints_file is None or not error.key:
            raise UsageError(f"{where}: {error}") from None
        lacks = f"{_shown(endpoints_file)} has no {error.key!r} ({offer(error.key, endpoints or {})})"
        again = remedy(name, embedded=bool(section.get("embedded")))
        raise UsageError(f"environment {name} of {system.name}: {lacks}, which {where} asks for{again}") from None
    filled["base_dir"] = file.parent.parent if file else base
    return _validate(Environment, filled, None, file, place)


def _read(file: Path) -> tuple[yaml.Node, Any]:
    """The file's nodes, for their places, and its values."""
    loader = None
    try:
        loader = _Loader(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise UsageError(f"{_shown(file)}:1: found no mapping, expected the facts of a system")
        for path, line in duplicates(node):
            raise UsageError(f"{_shown(file)}:{line}: {'.'.join(path)}: written twice, expected once")
        return node, loader.construct_document(node)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{_shown(file)} cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise UsageError(f"{_shown(file)}:{line}: not YAML: {what}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{_shown(file)}: not YAML: {' '.join(str(error).split())}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _validate(
    model: type[_Model], raw: Any, node: yaml.Node | None, file: Path | None, place: tuple[str, ...]
) -> _Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A key that is misspelt is both unknown and missing: the unknown one can be corrected.
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        inner = getattr(first.get("ctx", {}).get("error"), "path", ())
        path = (*first["loc"], *inner)
        sentence = _sentence(model, first, path)
        where = _where(file, (*place, *path), node)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise UsageError(f"{where}: {sentence}{more}") from None


def _sentence(model: type[BaseModel], error: Any, path: tuple[str | int, ...]) -> str:
    kind, found = error["type"], error["input"]
    match kind:
        case "value_error":
            return str(error["ctx"]["error"])
        case "missing":
            return "found nothing, expected this key"
        case "extra_forbidden":
            return f"unknown key; {offer(str(path[-1]), known_keys(model, path[:-1]))}"
    expected = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    shown = repr(found)
    return f"found {shown if len(shown) <= 60 else shown[:57] + '...'}, expected {expected}"


def _where(file: Path | None, path: tuple[str | int, ...], node: yaml.Node | None = None) -> str:
    key = ".".join(str(step) for step in path) or "the whole"
    if file is None:
        return key
    if node is None:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=_Loader)
    return f"{_shown(file)}:{line_of(node, path)}: {key}"


def _shown(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
