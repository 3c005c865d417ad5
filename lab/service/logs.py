"""Plain log lines, ``TIME LEVEL TOPIC message``, that ``grep ERROR``, ``grep PQC`` and ``grep SECURITY`` find.

What can repeat thousands of times a second is sampled: a flood of lines is an outage of its own.
"""

from __future__ import annotations

import logging
import sys
import time


class _Lines(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """UTC with milliseconds."""
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def set_up() -> None:
    """Write INFO and above to standard output, which is where a container's log comes from."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatter in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(chatter).setLevel(logging.WARNING)


class Sampled:
    """At most ``burst`` lines a second to one logger; the next line says how many were left out."""

    def __init__(self, name: str, burst: int = 5) -> None:
        self._log, self._burst = logging.getLogger(name), burst
        self._second, self._written, self._left_out = 0, 0, 0

    def write(self, level: int, message: str, *args: object) -> None:
        """Log a line, or count it as left out."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= self._burst:
            self._left_out += 1
            return
        self._written += 1
        if self._left_out:
            message, args, self._left_out = message + " (%d more like it)", (*args, self._left_out), 0
        self._log.log(level, message, *args)
