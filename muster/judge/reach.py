"""Who must be told can be reached, and those who tell are ready: Prometheus, Alertmanager, pagers, the responder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.replicas import Replicas

HOW = frozenset({"tcp", "tls", "smtp"})


@dataclass(frozen=True)
class Ready:
    """What a server answered when it was asked whether it is ready."""

    status_code: int
    said: str = ""


@dataclass(frozen=True)
class Reached:
    """How the server behind a contact's channel was reached: ``tcp``, ``tls`` (its certificate is good) or ``smtp``."""

    kind: str
    host: str
    port: int
    how: str


def ready(raw: Mapping[str, Any]) -> Ready:
    """The typed view of ``prometheus_ready``, ``alertmanager_ready`` and ``responder``."""
    return Ready(raw["status_code"], raw.get("said", ""))


def reached(raw: Mapping[str, Any]) -> Reached:
    """The typed view of one contact's entry in ``pagers``."""
    return Reached(raw["kind"], raw["host"], raw["port"], raw["how"])


def assert_ready(who: str, answer: Ready) -> None:
    """It answers 200; anything else is what it says about itself."""
    said = f": {answer.said}" if answer.said else ""
    claim(answer.status_code == 200, f"{who} says that it is not ready ({answer.status_code}){said}")


def assert_pagers_are_reached(pagers: Replicas[Reached]) -> None:
    """A server answers behind every contact's channel. One that could not be reached from here is UNKNOWN."""
    if not pagers:
        raise Unknown("no contact has a channel here, so there is nobody to reach")
    for contact, pager in pagers.items():
        where = f"{pager.host}:{pager.port}"
        claim(pager.how in HOW, f"the pager of {contact} ({where}) was reached by {pager.how or 'nothing'}")
