"""Container logs: programs write straight into files, and a file beside each one says when its bytes came.

No pipe leads through the agent: programs must go on, and keep their logs, while the node agent is down. ``N.log`` holds
the raw output; ``N.log.times`` holds lines ``OFFSET NANOSECONDS``: from that offset on, bytes came at that time.
inotify tells when a file grew, at most every 20 ms, so idle logs cost nothing.
"""

from __future__ import annotations

import asyncio
import bisect
import ctypes
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_IN_MODIFY = 0x2
_GATHER_S = 0.02
_BLOCK = 64 * 1024


@dataclass
class Log:
    """One run's log file with the times of its parts."""

    path: Path
    offsets: list[int] = field(default_factory=list)
    times_ns: list[int] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.changed = asyncio.Event()
        self._times = self.path.with_name(f"{self.path.name}.times")
        if self._times.exists():
            for line in self._times.read_text().splitlines():
                offset, _, moment = line.partition(" ")
                if moment.isdigit():
                    self.offsets.append(int(offset))
                    self.times_ns.append(int(moment))
        if self.offsets:  # an earlier agent looked at least this far
            self.size = self.offsets[-1]

    def open(self) -> int:
        """A descriptor for a program to append to; the caller closes it."""
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def scan(self) -> None:
        """Note when what is new since the last scan came."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size <= self.size:
            return
        if not self.offsets or self.size > self.offsets[-1]:
            moment = time.time_ns()
            self.offsets.append(self.size)
            self.times_ns.append(moment)
            with self._times.open("a") as file:
                file.write(f"{self.size} {moment}\n")
        self.size = size
        self.changed.set()
        self.changed = asyncio.Event()

    def time_of(self, offset: int) -> int:
        """When the byte at ``offset`` came, in nanoseconds since the epoch."""
        place = bisect.bisect_right(self.offsets, offset) - 1
        return self.times_ns[max(place, 0)] if self.times_ns else time.time_ns()

    def start_of(self, *, tail: int | None, since_ns: int | None) -> int:
        """The offset of the first line wanted."""
        start = 0
        if since_ns is not None:
            place = bisect.bisect_left(self.times_ns, since_ns)
            start = self.offsets[place] if place < len(self.offsets) else self.size
            start = self._line_start(start)
        return start if tail is None else max(start, self._tail_start(tail))

    def _line_start(self, offset: int) -> int:
        """The next start of a line at or after ``offset``."""
        if offset == 0 or offset >= self.size:
            return offset
        with self.path.open("rb") as file:
            file.seek(offset - 1)
            return offset if file.read(1) == b"\n" else offset + len(file.readline())

    def _tail_start(self, lines: int) -> int:
        if lines <= 0 or self.size == 0:
            return self.size if lines <= 0 else 0
        with self.path.open("rb") as file:
            position, found = self.size, 0
            file.seek(self.size - 1)
            missing = lines + (1 if file.read(1) == b"\n" else 0)
            while position > 0:
                step = min(_BLOCK, position)
                position -= step
                file.seek(position)
                block = file.read(step)
                place = len(block)
                while (place := block.rfind(b"\n", 0, place)) >= 0:
                    found += 1
                    if found == missing:
                        return position + place + 1
        return 0

    def lines(self, start: int) -> Iterator[tuple[int, bytes]]:
        """``(offset, line)`` from ``start`` to the present end; the last line may lack its newline."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(start)
            for line in file:
                yield start, line
                start += len(line)


def stamp(moment_ns: int) -> bytes:
    """RFC3339Nano, UTC."""
    seconds, rest = divmod(moment_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z ".encode()


async def read(
    log: Log,
    *,
    tail: int | None = None,
    since_ns: int | None = None,
    limit: int | None = None,
    timestamps: bool = False,
    follow_until: asyncio.Event | None = None,
) -> AsyncIterator[bytes]:
    """The log as a kubelet serves it, in pieces; with ``follow_until`` it goes on until that event."""
    log.scan()
    position, left, mid_line = log.start_of(tail=tail, since_ns=since_ns), limit, False
    while True:
        ended = follow_until is None or follow_until.is_set()
        changed = log.changed
        log.scan()
        pieces = []
        for offset, line in log.lines(position):
            pieces.append(line if mid_line or not timestamps else stamp(log.time_of(offset)) + line)
            mid_line = not line.endswith(b"\n")
            position = offset + len(line)
        data = b"".join(pieces)[:left]
        if data:
            yield data
        if left is not None:
            left -= len(data)
        if ended or left == 0:
            return
        waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(follow_until.wait())]  # type: ignore[union-attr]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


class LogWatcher:
    """Tells logs that their files grew."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._logs: dict[int, Log] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._gather)

    def add(self, log: Log) -> None:
        """Watch a log whose file exists."""
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(log.path), _IN_MODIFY)
        if number >= 0:
            self._logs[number] = log
        log.scan()

    def remove(self, log: Log) -> None:
        """Stop watching; what has come until now is noted."""
        log.scan()
        for number, known in list(self._logs.items()):
            if known is log:
                del self._logs[number]
                self._libc.inotify_rm_watch(self._fd, number)

    def _gather(self) -> None:
        """Something grew: let more come for a moment, then look once."""
        self._loop.remove_reader(self._fd)
        self._loop.call_later(_GATHER_S, self._look)

    def _look(self) -> None:
        if self._fd < 0:
            return
        try:
            events = os.read(self._fd, _BLOCK)
        except BlockingIOError:
            events = b""
        grown = set()
        place = 0
        while place + 16 <= len(events):
            grown.add(int.from_bytes(events[place : place + 4], "little", signed=True))
            place += 16 + int.from_bytes(events[place + 12 : place + 16], "little")
        for number in grown & self._logs.keys():
            self._logs[number].scan()
        self._loop.add_reader(self._fd, self._gather)

    def close(self) -> None:
        """Stop watching altogether."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
