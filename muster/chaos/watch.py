"""Watching one source during an experiment: a thread that looks again and again, and keeps count of its failures.

Each source has a thread of its own, so that one that hangs delays no other. What a watcher could not read is part of
the timeline: its last word is a NOTE that the judge of drills asks before it takes silence for an answer.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from muster.chaos.story import Story
from muster.errors import MusterError
from muster.judge.clock import SECOND, Bounds, Told, narrowed, ours, theirs
from muster.timeline import Kind

EVERY_S = 0.2
TIMEOUT_S = 2.0
OUTAGE_S = 0.5  # unread for so much longer than between two looks, a source that forgets was away


class Watcher(threading.Thread):
    """Calls :meth:`look` at once and every ``every_s`` until stopped, then once more, then notes how that went."""

    source = ""
    forgets = False  # whether what it does not say in one look it does not say in the next: its outages are told

    def __init__(self, story: Story, *, every_s: float = EVERY_S) -> None:
        super().__init__(name=f"watch-{self.source}", daemon=True)
        self.story, self._every_s = story, every_s
        self._stopping, self._looked = threading.Event(), threading.Event()
        self._reads = self._failures = 0
        self._error, self._refused = "it was never read", False
        self._last_good = time.monotonic()
        self._last_good_at: float | None = None  # seconds since the epoch, when the last good look began
        self._gap_s = 0.0

    def look(self) -> None:
        """Read the source once and tell what is new. What it raises is a failed read."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """More about the source for its note."""
        return {}

    def close(self) -> None:
        """Free what the thread holds; called at its end."""

    def run(self) -> None:
        """The thread: look, wait, look again; one last look after the stop."""
        try:
            self._try()
            self._looked.set()
            while not self._stopping.wait(self._every_s):
                self._try()
            self._try()
        finally:
            self.close()

    def _try(self) -> None:
        began_at = time.time()
        try:
            self.look()
        except Exception as error:  # noqa: BLE001 - a thread that died in silence would pass for a quiet source
            self._failures += 1
            self._error, self._refused = _sentence(error), isinstance(error, httpx.ConnectError)
        else:
            now = time.monotonic()
            gap_s = now - self._last_good
            self._gap_s = max(self._gap_s, gap_s)
            self._reads, self._error, self._refused, self._last_good = self._reads + 1, "", False, now
            self._last_good_at = began_at  # what came while it answered it need not have said
            if self.forgets and gap_s > self._every_s + OUTAGE_S:
                message = f"{self.source} was not read for {gap_s:.1f} s"
                self.story.tell(Kind.NOTE, source=self.source, message=message, unread_s=round(gap_s, 3))

    def await_first_look(self) -> None:
        """Wait, no longer than a source may take, until it was looked at once: what came before is told apart by that.

        A fault that came first would be taken for what had been so before.
        """
        self._looked.wait(TIMEOUT_S)

    def stop(self) -> None:
        """Ask the thread to take its last look; :meth:`finish` waits for it."""
        self._stopping.set()

    def finish(self, timeout_s: float = 3 * TIMEOUT_S) -> None:
        """Wait for the last look and leave the note."""
        self.stop()
        if self.is_alive():
            self.join(timeout_s)
        error = "it hung and was given up" if self.is_alive() else self._error
        message = f"{self.source}: {self._reads} reads, {self._failures} failed" + (f"; last: {error}" if error else "")
        self.story.tell(
            Kind.NOTE,
            source=self.source,
            message=message,
            reads=self._reads,
            failures=self._failures,
            error=error,
            refused=self._refused,
            longest_gap_s=round(self._gap_s, 3),
            last_good_at=self._last_good_at,
            **self.facts(),
        )


class HttpWatcher(Watcher):
    """A watcher of something that answers JSON over HTTP; of one whose stamps it tells, it measures the clock."""

    stamps = False  # whether events are told at times that the source's own clock gave them
    grain_s = 0.0  # to how many seconds it tells its own time

    def __init__(
        self,
        story: Story,
        url: str,
        *,
        headers: Callable[[], dict[str, str]] = dict,
        verify: ssl.SSLContext | bool = True,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__(story, every_s=every_s)
        self._url, self._headers = url.rstrip("/"), headers
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=verify)
        self._bounds: Bounds | None = None

    def get(self, path: str, **params: str | float) -> Any:
        """The JSON of a good answer. Raises httpx.HTTPError on any other status, ValueError when it is not JSON.

        Its clock is read by the way: from ``now`` in the answer where the source says so, else from the Date header.
        """
        asked_at = time.time()
        answer = self.get_raw(path, **params)
        heard_at = time.time()
        body = answer.json()
        if not self.stamps:
            return body
        now = self.now_in(body)
        if now is not None:
            self._hear(Told(asked_at=asked_at, time=now, heard_at=heard_at, grain_s=self.grain_s))
        elif (date := _epoch(answer.headers.get("Date", ""))) is not None:
            self._hear(Told(asked_at=asked_at, time=date, heard_at=heard_at, grain_s=SECOND))
        return body

    def now_in(self, body: Any) -> float | None:
        """The source's own time, to better than a second, in this answer of it; None where it holds none."""
        now = body.get("now") if isinstance(body, dict) else None
        return float(now) if now is not None else None

    def _hear(self, told: Told) -> None:
        self._bounds = narrowed(self._bounds, told)
        self.story.clocks[self.source] = self._bounds.clock

    def ours(self, at: float) -> float:
        """The source's time as ours."""
        return ours(at, self.story.clocks.get(self.source))

    def theirs(self, at: float) -> float:
        """Our time as the source's."""
        return theirs(at, self.story.clocks.get(self.source))

    def get_raw(self, path: str, **params: str | float) -> httpx.Response:
        """A good answer. Raises httpx.HTTPError on any other status."""
        return self._http.get(self._url + path, params=params, headers=self._headers()).raise_for_status()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _epoch(date: str) -> float | None:
    """Seconds of an HTTP date; None for what is none, which tells nothing about the clock and spoils no answer."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _sentence(error: Exception) -> str:
    match error:
        case httpx.HTTPStatusError():
            return f"{error.request.url.copy_with(query=None)} answered {error.response.status_code}"
        case httpx.ConnectError():
            url = error.request.url
            return f"connection to {url.scheme}://{url.netloc.decode()} refused"
        case httpx.TimeoutException():
            return f"{error.request.url.copy_with(query=None)} did not answer within {TIMEOUT_S:g} s"
        case httpx.HTTPError() | MusterError():
            return str(error) or type(error).__name__
        case _:
            return f"its answer cannot be used: {type(error).__name__} {error}"
