"""Secrets do not stand in a file that is committed: only the file or variable that holds one is named there."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from muster.system.fact import FactError

_SECRET = re.compile(r"(?i)(password|passwd|secret|token|credential|api_?key|routing_?key|private_?key|bearer)s?")
_BY_NAME = re.compile(r"(?i)_(files?|env)$")
_WITH_SECRET = "hooks.slack.com/services/"  # noqa: S105 - an address that is itself the secret


def refuse_secrets(section: Any, *place: str | int) -> None:
    """Raises :class:`~muster.system.fact.FactError` for a secret as a value; its sentence does not repeat the value.

    Found are keys that are called like a secret and not ``..._file``, passwords in addresses, keys in PEM, and the
    addresses of chat hooks. What ``${NAME}`` fills in comes from the process environment and is no part of the file.
    """
    if isinstance(section, dict):
        for key, value in section.items():
            _refuse_key(str(key), value, place)
            refuse_secrets(value, *place, key)
    elif isinstance(section, list):
        for index, value in enumerate(section):
            refuse_secrets(value, *place, index)
    elif isinstance(section, str):
        _refuse_value(section, place)


def _refuse_key(key: str, value: Any, place: tuple[str | int, ...]) -> None:
    if isinstance(value, str) and _SECRET.search(key) and not _BY_NAME.search(key):
        raise FactError(
            "a secret must not stand in this file; write it to a file and name that: secret_file", *place, key
        )


def _refuse_value(value: str, place: tuple[str | int, ...]) -> None:
    if "-----BEGIN" in value and "PRIVATE KEY" in value:
        raise FactError("a private key must not stand in this file; name the file that holds it", *place)
    if _WITH_SECRET in value:
        raise FactError("this address is a secret and must not stand in this file; name a file: secret_file", *place)
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:  # not an address after all
        password = None
    if password and "${" not in password:
        raise FactError("a password must not stand in an address; name a file that holds it: secret_file", *place)
