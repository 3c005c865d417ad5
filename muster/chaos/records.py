"""Sources that keep records of their own, with their times: the pager's receipts and the responder's audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muster.chaos.story import Story
from muster.chaos.watch import HttpWatcher
from muster.timeline import Kind

OVERLAP_S = 1.0  # asked again at each look, because a receipt may be stamped before it can be read


class Records(HttpWatcher):
    """A watcher of records that the source itself stamps, and gives from an instant of its own time on."""

    stamps = True
    _since, _cursor = 0.0, float("-inf")

    def _from(self) -> float:
        """From where to ask. Until a record is seen, from the beginning: where that is on its clock shows only now."""
        if self._cursor > float("-inf"):
            return self._cursor - OVERLAP_S
        clock = self.story.clocks.get(self.source)
        return 0.0 if clock is None else self.theirs(self._since) - clock.bound_s - OVERLAP_S


class Inbox(Records):
    """The pager's receipts."""

    source = "inbox"

    def __init__(self, story: Story, url: str, *, since: float, **access: Any) -> None:
        super().__init__(story, url, **access)
        self._since, self._cursor = since, float("-inf")
        self._seen: set[tuple[float, str, str]] = set()

    def look(self) -> None:
        """Tell every page that was received since the last look."""
        for message in self.get("/inbox", since=self._from())["messages"]:
            at, contact, alert = float(message["received_at"]), str(message["to"]), str(message["alert"])
            if self.ours(at) < self._since or message["action"] != "trigger" or (at, contact, alert) in self._seen:
                continue
            self._seen.add((at, contact, alert))
            self._cursor = max(self._cursor, at)
            self.story.tell(
                Kind.PAGE_RECEIVED,
                source=self.source,
                at=at,
                message=f"paged {contact}: {message['summary']}",
                clock=self.source,
                alert=alert,
                contact=contact,
                channel=message["channel"],
            )


class Audit(Records):
    """The responder's own record of what it received, decided and did."""

    source = "responder"

    def __init__(self, story: Story, url: str, *, token_file: str, since: float, **access: Any) -> None:
        def headers() -> dict[str, str]:
            return {"Authorization": f"Bearer {Path(token_file).read_text().strip()}"} if token_file else {}

        super().__init__(story, url, headers=headers, **access)
        self._since, self._cursor = since, float("-inf")
        self._seen: set[tuple[float, str, str]] = set()

    def look(self) -> None:
        """Tell every record since the last look."""
        for record in self.get("/audit", since=self._from())["records"]:
            at, kind, message = float(record["at"]), str(record["kind"]), str(record.get("message", ""))
            if self.ours(at) < self._since or (at, kind, message) in self._seen:
                continue
            self._seen.add((at, kind, message))
            self._cursor = max(self._cursor, at)
            known = Kind(kind) if kind in set(Kind) else Kind.NOTE
            data = {key: value for key, value in (record.get("data") or {}).items() if key not in _OWN}
            data.setdefault("alert", record.get("alert", ""))
            self.story.tell(known, source="responder audit", at=at, message=message, **data | {"clock": self.source})


_OWN = {"kind", "source", "at", "message"}  # arguments of tell(): an audit's data may not shadow them
