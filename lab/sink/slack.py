"""Slack's incoming webhooks as far as a sender can tell: what they accept, and their words when they do not.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from lab.sink import notices
from lab.sink.inbox import Message

FORM = "application/x-www-form-urlencoded"


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """The message is not accepted; the text is Slack's word for why."""


def accept(name: str, raw: bytes, content_type: str = "") -> Message:
    """The message in a request's body, which is JSON, or a form with JSON in its field ``payload``.

    ``name`` is the webhook's; a channel in the message overrides it. Raises :class:`Refused`.
    """
    try:
        if content_type == FORM:
            raw = parse_qs(raw.decode())["payload"][0].encode()
        body = json.loads(raw)
    except (ValueError, KeyError):
        raise Refused("invalid_payload") from None
    if not isinstance(body, dict):
        raise Refused("invalid_payload")
    if not any(body.get(key) for key in ("text", "attachments", "blocks")):
        raise Refused("no_text")
    attachments = body.get("attachments") or []
    if not (isinstance(attachments, list) and all(isinstance(each, dict) for each in attachments)):
        raise Refused("invalid_attachments")
    texts = [*_texts(body, attachments)]
    return Message(
        received_at=time.time(),
        channel="slack",
        to=str(body.get("channel") or name),
        action=notices.action(*texts),
        alert=notices.alert(*texts),
        summary=next(iter(texts), ""),
        body=body,
    )


def _texts(body: dict[str, Any], attachments: list[dict[str, Any]]) -> Iterator[str]:
    """Everything that is text, what people read first first."""
    for part, keys in ((body, ("text",)), *((each, ("title", "text", "pretext", "fallback")) for each in attachments)):
        yield from (part[key] for key in keys if isinstance(part.get(key), str) and part[key])
