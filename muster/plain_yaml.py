"""Reading YAML: plain data only, by libyaml where it is built in, which is ten times as fast."""

from __future__ import annotations

from typing import Any

import yaml

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str | bytes) -> Any:
    """The one document of a text. Raises :class:`yaml.YAMLError`, as ``yaml.safe_load`` does."""
    return yaml.load(text, _Loader)  # noqa: S506 - both are safe loaders
