"""What has arrived: one JSON line per message on disk, so that nothing is lost when the sink is stopped and started."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message. ``received_at`` is seconds since the epoch; ``to`` is a contact, channel, address or webhook."""

    received_at: float
    channel: str  # pagerduty | slack | email | webhook
    to: str
    action: str  # trigger | acknowledge | resolve
    alert: str
    summary: str
    body: dict[str, Any]


class Inbox:
    """The messages in order of arrival."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._messages = _read(file)

    def add(self, message: Message) -> None:
        """Keep a message; it is in the file before its sender is told so."""
        line = json.dumps(asdict(message), separators=(",", ":"))
        with self._file.open("a") as file:
            file.write(line + "\n")
        self._messages.append(message)

    def since(self, epoch: float) -> list[Message]:
        """Those received at or after ``epoch``."""
        return [message for message in self._messages if message.received_at >= epoch]

    def alert_of(self, key: str) -> str:
        """The alert that was triggered under this ``dedup_key``; "" when none was."""
        found = (each.alert for each in reversed(self._messages) if each.body.get("dedup_key") == key and each.alert)
        return next(found, "")


def _read(file: Path) -> list[Message]:
    messages = []
    for line in file.read_text().splitlines() if file.is_file() else ():
        try:
            messages.append(Message(**json.loads(line)))
        except (ValueError, TypeError):  # the last line of a sink that was killed while writing
            continue
    return messages
