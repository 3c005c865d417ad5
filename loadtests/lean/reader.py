"""Answers of HTTP/1.1 servers, read strictly (RFC 9112). Pure: bytes in, an :class:`Answer` or a typed error out.

Where RFC 9112 lets a recipient repair or guess, this reader refuses: a load test that guesses counts failures as
successes. Refused on purpose, although lenient clients take it: bare LF as line end, a missing space after the status
code, folded lines, space before a colon, control characters in values, repeated Content-Length (also when equal),
Content-Length beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0, any transfer coding but ``chunked`` (no other
was offered), padded chunk sizes, chunk extensions that break the grammar, framing fields in trailers, 101 (no upgrade
was offered), bytes after the answer's end, and more than :data:`MAX_HEAD`, :data:`MAX_FIELDS` or :data:`MAX_INTERIM`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from .errors import Desync, Malformed, Truncated
from .grammar import BARE_LINE_FEED, CHUNK, FRAMING, HEAD, TRAILERS, what_is_wrong

MAX_HEAD = 65_536  # bytes of status line and fields; of trailers, too
MAX_FIELDS = 256
MAX_CHUNK_LINE = 4_096  # bytes of chunk size and extensions
MAX_INTERIM = 16  # 1xx answers before the final one

_SHOWN = 60


class Framing(Enum):
    """How the end of a body is known (RFC 9112, 6.3)."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole, well-formed, final answer.

    ``length`` is the body's in bytes, as transferred, without chunk framing; ``body`` is None unless it was to be kept;
    ``head`` is status line and fields as they came; ``reusable`` says whether the connection may carry another request.
    """

    status: int
    length: int
    reusable: bool
    head: bytes
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What a status line and its fields say. ``answer`` fits if the body is as long as they say."""

    status: int
    framing: Framing
    length: int
    answer: Answer


@lru_cache(maxsize=512)  # a server's answers to one request differ in their date, once a second
def parse_head(head: bytes, bodiless: bool) -> Head:
    """The head of an answer, from the status line to the empty line. ``bodiless``: it answers a HEAD request.

    Raises:
        Malformed: It breaks the grammar or the rules of framing.
    """
    match = HEAD.fullmatch(head)
    if match is None:
        raise Malformed(what_is_wrong(head))
    if head.count(b"\n") > MAX_FIELDS + 2:
        raise Malformed(f"the answer has more than {MAX_FIELDS} header fields")
    version, status = match[1], int(match[2])
    if status == 101:
        raise Malformed("the answer is 101 Switching Protocols, but no upgrade was offered")
    length, chunked, connection = _framing_fields(match[3], version)
    if bodiless or status < 200 or status in (204, 304):
        framing, length = Framing.NONE, 0
    elif chunked:
        framing, length = Framing.CHUNKED, 0
    elif length is not None:
        framing = Framing.LENGTH if length else Framing.NONE
    else:
        framing, length = Framing.CLOSE, 0
    kept = b"close" not in connection and (version == b"1" or b"keep-alive" in connection)
    reusable = kept and framing is not Framing.CLOSE
    return Head(status, framing, length, Answer(status, length, reusable, head))


def _framing_fields(fields: bytes, version: bytes) -> tuple[int | None, bool, set[bytes]]:
    """Content-Length, whether the body is chunked, and the options of Connection."""
    length: int | None = None
    chunked = False
    connection: set[bytes] = set()
    for raw_name, raw_value in FRAMING.findall(fields):
        name, value = raw_name.lower(), raw_value.strip(b" \t")
        if name == b"connection":
            connection.update(option.strip(b" \t") for option in value.lower().split(b","))
        elif name == b"content-length":
            if length is not None:
                raise Malformed("the answer has more than one Content-Length")
            if not value.isdigit() or len(value) > 18:
                raise Malformed(f"the answer's Content-Length is {_show(value)}, which is no length")
            length = int(value)
        else:
            if chunked:
                raise Malformed("the answer has more than one Transfer-Encoding")
            if value.lower() != b"chunked":
                raise Malformed(f"the answer's Transfer-Encoding is {_show(value)}; only chunked was offered")
            if version == b"0":
                raise Malformed("the answer has a Transfer-Encoding, which HTTP/1.0 does not know")
            chunked = True
    if chunked and length is not None:
        raise Malformed("the answer has both Content-Length and Transfer-Encoding")
    return length, chunked, connection


def whole_answer(data: bytes, bodiless: bool = False) -> Answer | None:
    """The answer, if these bytes are exactly one final answer that is not chunked; the common case, and the fast one.

    None says that an :class:`AnswerReader` must look at them. Raises :class:`Malformed` as it would.
    """
    end = data.find(b"\r\n\r\n") + 4
    if end == 3:
        return None
    head = parse_head(data[:end], bodiless)
    framing = head.framing
    if framing is Framing.CLOSE or framing is Framing.CHUNKED or head.length != len(data) - end or head.status < 200:
        return None
    return head.answer


class AnswerReader:
    """Reads one answer from pieces of any size; a new reader for each request."""

    def __init__(self, *, bodiless: bool = False, keep_body: bool = False) -> None:
        self._bodiless = bodiless
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer known to hold no end of a head
        self._step = self._read_head
        self._head: Head | None = None
        self._interim = 0
        self._left = 0  # bytes of the body or chunk that are still to come
        self._length = 0
        self._kept: bytearray | None = bytearray() if keep_body else None
        self._answer: Answer | None = None
        self.started = False

    def feed(self, data: bytes) -> Answer | None:
        """The answer, when these bytes complete it.

        Raises:
            Malformed: They break HTTP/1.1 or a limit.
            Desync: There are more bytes than the answer has.
        """
        self.started = self.started or bool(data)
        self._buffer += data
        while self._answer is None and self._step():
            pass
        if self._answer is not None and self._buffer:
            raise Desync(f"the server sent bytes after its answer: {_show(self._buffer)}")
        return self._answer

    def closed(self) -> Answer:
        """The answer, when the server's closing the connection completes it. Raises :class:`Truncated`."""
        if self._head is not None and self._head.framing is Framing.CLOSE:
            self._finish()
            assert self._answer is not None  # noqa: S101 - for the type checker
            return self._answer
        where = "its head" if self._head is None else f"its body, after {self._length} bytes of it"
        raise Truncated(f"the server closed the connection in the middle of the answer: in {where}")

    def _read_head(self) -> bool:
        end = self._end_of_block()
        if end is None:
            if not self._buffer.startswith(b"H"[: len(self._buffer)]):
                raise Malformed(what_is_wrong(bytes(self._buffer)))  # no need to wait for an end that may never come
            return False
        head = parse_head(self._take(end), self._bodiless)
        if head.status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise Malformed(f"the server sent more than {MAX_INTERIM} interim answers (1xx)")
            return True
        self._head, self._left = head, head.length
        if head.framing is Framing.NONE:
            self._finish()
        elif head.framing is Framing.LENGTH:
            self._step = self._read_length
        else:
            self._step = self._read_chunk_line if head.framing is Framing.CHUNKED else self._read_to_close
        return True

    def _end_of_block(self) -> int | None:
        """Where the empty line ends that ends a head; None when it has not come yet."""
        at = self._buffer.find(b"\r\n\r\n", self._scanned)
        if at + 4 > MAX_HEAD or (at < 0 and len(self._buffer) > MAX_HEAD):
            raise Malformed(f"the answer's header fields are longer than {MAX_HEAD} bytes")
        if at < 0 and BARE_LINE_FEED.search(self._buffer, self._scanned):
            raise Malformed(
                what_is_wrong(bytes(self._buffer)) if self._head is None else "a trailer ends in a bare line feed"
            )
        self._scanned = max(0, len(self._buffer) - 3) if at < 0 else 0
        return None if at < 0 else at + 4

    def _read_length(self) -> bool:
        self._consume_body()
        if self._left == 0:
            self._finish()
        return False

    def _read_to_close(self) -> bool:
        self._left = len(self._buffer)
        self._consume_body()
        return False

    def _read_chunk_line(self) -> bool:
        at = self._buffer.find(b"\r\n")
        if at > MAX_CHUNK_LINE or (at < 0 and len(self._buffer) > MAX_CHUNK_LINE):
            raise Malformed(f"a chunk's size and extensions are longer than {MAX_CHUNK_LINE} bytes")
        if at < 0:
            if b"\n" in self._buffer:
                raise Malformed("a chunk's size line ends in a bare line feed")
            return False
        line = self._take(at + 2)
        match = CHUNK.fullmatch(line)
        if match is None:
            raise Malformed(f"a chunk begins with {_show(line)}, which is no chunk size")
        self._left = int(match[1], 16)
        self._step = self._read_chunk if self._left else self._read_trailers
        return True

    def _read_chunk(self) -> bool:
        self._consume_body()
        if self._left or len(self._buffer) < 2:
            return False
        if self._take(2) != b"\r\n":
            raise Malformed("a chunk is longer than its size says")
        self._step = self._read_chunk_line
        return True

    def _read_trailers(self) -> bool:
        if self._buffer.startswith(b"\r\n"):
            self._take(2)
            self._finish()
            return False
        if (end := self._end_of_block()) is None:
            return False
        trailers = self._take(end)
        if TRAILERS.fullmatch(trailers) is None or trailers.count(b"\n") > MAX_FIELDS + 1:
            raise Malformed(f"the answer's trailers cannot be read: {_show(trailers)}")
        if any(name.lower() != b"connection" for name, _ in FRAMING.findall(trailers)):
            raise Malformed("the answer's trailers speak of its framing, which is settled by then")
        self._finish()
        return False

    def _consume_body(self) -> None:
        """Count, and keep if asked, what of the body is in the buffer."""
        size = min(self._left, len(self._buffer))
        if self._kept is not None:
            self._kept += self._buffer[:size]
        del self._buffer[:size]
        self._left -= size
        self._length += size

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _finish(self) -> None:
        assert self._head is not None  # noqa: S101 - for the type checker
        told = self._head.answer
        body = None if self._kept is None else bytes(self._kept)
        self._answer = Answer(told.status, self._length, told.reusable, told.head, body)


def _show(data: bytes | bytearray) -> str:
    """The beginning of what came, safe to print."""
    return repr(bytes(data[:_SHOWN]))[1:] + ("..." if len(data) > _SHOWN else "")
