"""The grammar of answers (RFC 9110, 5.5 and 5.6.2; RFC 9112, 4, 5 and 7.1) as patterns that cannot backtrack."""

from __future__ import annotations

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TEXT = rb"[\t \x21-\x7e\x80-\xff]*+"  # a value with its surrounding white space; no control characters
_FIELD = TOKEN + rb":" + _TEXT + rb"\r\n"

HEAD = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2}) " + _TEXT + rb"\r\n((?:" + _FIELD + rb")*+)\r\n")
"""Minor version, status, all fields."""

TRAILERS = re.compile(rb"(?:" + _FIELD + rb")++\r\n")

FRAMING = re.compile(rb"(?im)^(content-length|transfer-encoding|connection):([^\r]*+)")
"""Name and value of the fields that say where an answer ends."""

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_EXTENSION = rb"[ \t]*+;[ \t]*+" + TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + TOKEN + rb"|" + _QUOTED + rb"))?+"
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:" + _EXTENSION + rb")*+\r\n")
"""Size of a chunk in hexadecimal digits."""

BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2} " + _TEXT)
_FIELD_LINE = re.compile(TOKEN + rb":" + _TEXT)
_SHOWN = 60


def what_is_wrong(head: bytes) -> str:
    """One sentence about the first line that breaks the grammar. ``head`` may be only the beginning of one."""
    first, *lines = head.split(b"\r\n")
    if _STATUS_LINE.fullmatch(first) is None:
        return f"the answer begins with {_show(first)}, which is no HTTP/1.1 status line"
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            return f"a header field is folded: {_show(line)}"
        if b"\n" in line or b"\r" in line:
            return f"a header line ends in a bare line feed or carriage return: {_show(line)}"
        if line and _FIELD_LINE.fullmatch(line) is None:
            return f"a header line cannot be read: {_show(line)}"
    return "the answer's head cannot be read"


def _show(line: bytes) -> str:
    return repr(line[:_SHOWN])[1:] + ("..." if len(line) > _SHOWN else "")
