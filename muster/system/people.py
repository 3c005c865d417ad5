"""Who is told and called, and the documents and runbooks that say so."""

from __future__ import annotations

from pydantic import Field

from muster.system.fact import Fact, Seconds, Source


class Document(Fact):
    """One of the documents that the sources name, as it was when the facts were taken from it."""

    title: str
    version: str
    date: str


class Runbook(Fact):
    """Where a runbook can be read; sections are anchors in it.

    ``url`` is an address that people open, or a Markdown file beside the facts; where it is an address, ``file`` may
    name the Markdown all the same: coverage knows the steps from it.
    """

    title: str
    url: str
    file: str = ""


class Contact(Fact):
    """A role that is told; how it is reached differs by environment."""

    title: str
    level: int = 1  # of escalation, 1 is told first
    within_s: Seconds = Field(900.0, alias="within")  # response time
    when: list[str] = Field(default_factory=list)  # what is escalated to this role
    source: Source = ""


class Escalation(Fact):
    """Whom the pager calls next while an alert stays open. Its time is people's: no environment scales it."""

    of: str  # a severity, a SEV, or the name of an alert
    after_s: Seconds = Field(alias="after")
    to: str
    source: Source
