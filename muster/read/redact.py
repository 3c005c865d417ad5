"""Secrets never reach an output: what tells itself as one is replaced before anything is kept, shown or attached.

Three ways to know one. By the key that it stands under (``password``). By its shape in a text (a bearer,
``token=...``, ``user:password@`` in an address, a private key in PEM). And by itself: what the files hold that the
environment names as secret files, wherever it turns up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from muster.snapshot import Failure, Reading
from muster.system.environment import Environment
from muster.system.fill import at_home

REDACTED = "[redacted]"
SHORTEST = 6  # characters: a shorter secret is a word, and would blacken every sentence
LARGEST_BYTES = 65536  # of a secret file

_KEY = (
    r"passw(?:or)?d|passphrase|secret|token|credentials?|authorization"
    r"|(?:api|access|private|routing|integration)[_-]?key"
)
_TELLING = re.compile(_KEY, re.IGNORECASE)
_VALUE = r"""\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s,;&"'<>)\]}]+"""
_HINT = re.compile(rf"{_KEY}|://|bearer|PRIVATE KEY|eyJ|gh[pousr]_|glpat-|xox|AKIA", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_PEM_BEGINS, _PEM_ENDS = "PRIVATE KEY-----", re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
_AUTHORIZATION = re.compile(
    r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:basic|bearer|digest|token)\s+)?[^\s\"',]+"
)
_ASSIGNED = re.compile(rf"(?i)((?:{_KEY})(?:[_-]?(?:key|id|value))?\\?[\"']?\s*[=:]\s*)(?!\[redacted\])(?:{_VALUE})")
_SHAPES = (
    (_PEM, REDACTED),
    (re.compile(r"(?<=://)[^/@\s]+@"), f"{REDACTED}@"),  # user:password@host
    (_AUTHORIZATION, rf"\1{REDACTED}"),
    (re.compile(r"\b((?i:bearer)\s+)(?=[a-z]*[0-9A-Z._~+/=-])[A-Za-z0-9._~+/=-]{6,}"), rf"\1{REDACTED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), REDACTED),  # a JSON web token
    (re.compile(r"\b(?:gh[pousr]_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16})"), REDACTED),
    (re.compile(r"(hooks\.slack\.com/services/)[\w/]+"), rf"\1{REDACTED}"),
    (_ASSIGNED, rf"\1{REDACTED}"),
)  # fmt: skip


# In lower case, one of them is in every text that _HINT or _TELLING finds something in; the long s is an s to them.
_SIGNS = (
    "passw", "passphrase", "secret", "token", "credential", "authorization", "key", "://", "bearer", "eyj", "gh",
    "glpat-", "xox", "akia", "\u017f",
)  # fmt: skip


class Redactor:
    """Replaces secrets in texts and in JSON. Redacting twice changes nothing."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """``known`` are secrets themselves; those under :data:`SHORTEST` characters are left to their keys."""
        words = sorted({word for word in known if len(word) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, words))) if words else None
        self._seen: dict[str, str] = {}  # a thousand replicas say the same thousand names

    def text(self, text: str) -> str:
        """The same text without its secrets."""
        found = self._seen.get(text)
        if found is None:
            found = self._redact(text)
            if len(text) < 200 and len(self._seen) < 100_000:
                self._seen[text] = found
        return found

    def json(self, value: Any, key: str = "") -> Any:
        """The same JSON without its secrets; ``key`` is what the value stands under."""
        if isinstance(value, dict):
            named = str(value.get("name", "")) if "value" in value else ""  # {"name": "DB_PASSWORD", "value": ...}
            return {
                name: self.json(item, named if name == "value" and _TELLING.search(named) else str(name))
                for name, item in value.items()
            }
        if isinstance(value, list):
            return list(self._items(value, key))
        if isinstance(value, str):
            return REDACTED if value and _TELLING.search(key) else self.text(value)
        return value

    def reading(self, reading: Reading) -> Reading:
        """The same reading without its secrets."""
        failure = reading.failure and Failure(reading.failure.kind, self.text(reading.failure.message))
        return replace(reading, source=self.text(reading.source), value=self.value(reading.value), failure=failure)

    def value(self, value: Any) -> Any:
        """:meth:`json` of a reading's value, quicker: an entry that shows no sign of a secret is left as it is."""
        if isinstance(value, dict) and "value" not in value:
            return {
                name: item if self._shows_nothing({name: item}) else self.json({name: item})[name]
                for name, item in value.items()
            }
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return [item if self._shows_nothing(item) else self.json(item) for item in value]
        return self.json(value)

    def _shows_nothing(self, item: dict[str, Any]) -> bool:
        """Whether neither a known secret nor a word that may tell one is anywhere in it, keys included."""
        text = json.dumps(item, ensure_ascii=False)
        if self._known is not None and (self._known.search(text) or "\\" in text):  # what is escaped looks otherwise
            return False
        lower = text.lower()
        return not any(sign in lower for sign in _SIGNS)

    def _items(self, values: list[Any], key: str) -> Iterator[Any]:
        """The items of a list; a key that is spread over the lines of a log is one secret."""
        inside = False
        for value in values:
            if not isinstance(value, str):
                yield self.json(value, key)
            elif inside:
                end = _PEM_ENDS.search(value)
                inside = end is None
                yield REDACTED if end is None else REDACTED + self.text(value[end.end() :])
            else:
                begins = value.rfind(f"{_PEM_BEGINS}") if _PEM_BEGINS in value else -1
                inside = begins >= 0 and "BEGIN" in value[:begins] and not _PEM_ENDS.search(value)
                yield self.json(value, key)

    def _redact(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        if _HINT.search(text) is None:
            return text
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text


def known_secrets(environment: Environment) -> list[str]:
    """What the files hold that this environment names as ``secret_file`` or ``..._token_file``.

    A file that this process cannot read holds nothing that it could leak.
    """
    found = []
    for name in _secret_files(environment.model_dump()):
        file = Path(environment.base_dir, at_home(name))
        try:
            with file.open("rb") as opened:
                found.append(opened.read(LARGEST_BYTES).decode("utf-8").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _secret_files(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and item and str(key).endswith(("secret_file", "token_file", "password_file")):
                yield item
            elif str(key).endswith("token_files") and isinstance(item, dict):
                yield from map(str, item.values())
            else:
                yield from _secret_files(item)


_BY_SHAPE = Redactor()


def redacted(value: Any, key: str = "") -> Any:
    """The same JSON without secrets that tell themselves by key or shape."""
    return _BY_SHAPE.json(value, key)
