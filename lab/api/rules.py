"""Rules that many kinds share: names, labels, numbers, ports."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from lab.api.errors import Causes

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # no vowels and no look-alikes, so that generated names spell nothing
_LABEL_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL_NAME}(\.{_LABEL_NAME})*"
_DNS1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start"
    f" and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    f" an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL_NAME}')"
)
_DNS1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
    f" '{_DNS1035}')"
)
_WORDS = {
    "path": (r"(?!\.{1,2}$)[^/%]+", 253, "may not be '.' or '..' and may not contain '/' or '%'"),
    "subdomain": (_SUBDOMAIN, 253, _SUBDOMAIN_RULE),
    "label": (_LABEL_NAME, 63, _LABEL_RULE),
    "dns1035": (_DNS1035, 63, _DNS1035_RULE),
}


def shown(value: Any) -> str:
    """A value as messages show it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def generated_name(base: str) -> str:
    """A name for ``metadata.generateName``: five random characters after as much of it as fits a label."""
    return base[:58] + "".join(secrets.choice(_SUFFIX) for _ in range(5))


def check_name(name: str, rule: str, path: str, causes: Causes) -> None:
    """A name after one of the rules "subdomain", "label", "dns1035", "path"."""
    pattern, longest, words = _WORDS[rule]
    if len(name) > longest:
        causes.invalid(path, shown(name), f"must be no more than {longest} characters")
    if not re.fullmatch(pattern, name):
        causes.invalid(path, shown(name), words)


def check_labels(labels: dict[str, str] | None, path: str, causes: Causes) -> None:
    """Keys and values of labels."""
    for key, value in (labels or {}).items():
        check_key(key, path, causes)
        if len(value) > 63:
            causes.invalid(path, shown(value), "must be no more than 63 characters")
        if not re.fullmatch(_LABEL_VALUE, value):
            causes.invalid(
                path,
                shown(value),
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
                " start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used"
                f" for validation is '{_LABEL_VALUE}')",
            )


def check_key(key: str, path: str, causes: Causes) -> None:
    """A key of labels or annotations."""
    prefix, slash, name = key.rpartition("/")
    if slash and not re.fullmatch(_SUBDOMAIN, prefix):
        causes.invalid(path, shown(key), f"prefix part {_SUBDOMAIN_RULE}")
    if len(name) > 63:
        causes.invalid(path, shown(key), "name part must be no more than 63 characters")
    if not re.fullmatch(_QUALIFIED, name):
        causes.invalid(
            path,
            shown(key),
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
            " alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
            f" '{_QUALIFIED}')",
        )


def check_non_negative(value: Any, path: str, causes: Causes) -> None:
    """A number that may be absent but not below zero."""
    if isinstance(value, int) and value < 0:
        causes.invalid(path, str(value), "must be greater than or equal to 0")


def check_port(value: Any, path: str, causes: Causes) -> None:
    """A port number."""
    if value is None:
        causes.required(path)
    elif not 1 <= value <= 65535:
        causes.invalid(path, str(value), "must be between 1 and 65535, inclusive")


def metadata(body: dict[str, Any], rule: str, causes: Causes) -> None:
    """An object's name, labels, annotations and owners."""
    held = body["metadata"]
    name = held.get("name", "")
    if not name:
        causes.required("metadata.name", "name or generateName is required")
    else:
        check_name(name, rule, "metadata.name", causes)
    check_labels(held.get("labels"), "metadata.labels", causes)
    for key in held.get("annotations") or ():
        check_key(key.lower(), "metadata.annotations", causes)
    owners = held.get("ownerReferences") or []
    for index, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                causes.invalid(f"metadata.ownerReferences[{index}].{field}", '""', "must not be empty")
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        causes.invalid(
            "metadata.ownerReferences",
            shown(owners),
            "Only one reference can have Controller set to true",
        )
