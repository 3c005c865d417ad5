"""What facts say about one another must be there: contacts, runbooks, indicators, levels, documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, get_args

from muster.system.fact import Fact, FactError
from muster.system.place import offer

if TYPE_CHECKING:  # model imports this module
    from muster.system.model import System

_CONTACT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 _.-]*[A-Za-z0-9])?")
Place = tuple[str | int, ...]


def check(system: System) -> None:
    """Raises :class:`~muster.system.fact.FactError` for the first reference that leads nowhere, or that cannot lead."""
    for name in system.contacts:
        _check_contact(name)
    for name, alert in system.alerts.items():
        _known(alert.slo, system.slo, "slo", "alerts", name, "slo")
        if system.slo[alert.slo].limit(alert.level) is None:
            raise FactError(f"slo {alert.slo!r} has no level {alert.level!r}", "alerts", name, "level")
    for index, step in enumerate(system.escalation):
        _known(step.of, _escalates(system), "severity, SEV or alert", "escalation", index, "of")
    for index, dashboard in enumerate(system.dashboards):
        for slo in dashboard.slo:
            _known(slo, system.slo, "slo", "dashboards", index, "slo")
    for place, fact in (((), system), *walk(system)):
        _check_people(system, place, fact)
        runbook = str(getattr(fact, "runbook", "")).partition("#")[0]
        if runbook:
            _known(runbook, system.runbooks, "runbook", *place, "runbook")
        _check_sources(system, place, getattr(fact, "source", []))


def walk(fact: Fact, place: Place = ()) -> Iterator[tuple[Place, Fact]]:
    """Every fact below ``fact`` with its place, named as in the file."""
    for name, field in type(fact).model_fields.items():
        yield from _below(getattr(fact, name), (*place, field.alias or name))


def _below(value: Any, place: Place) -> Iterator[tuple[Place, Fact]]:
    if isinstance(value, Fact):
        yield place, value
        yield from walk(value, place)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _below(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _below(item, (*place, index))


def _check_contact(name: str) -> None:
    """Contacts are joined in labels, matchers and receivers' names, and "responder" stands among those itself."""
    if name == "responder" or not _CONTACT.fullmatch(name):
        expected = "letters, digits, spaces, '_', '.' and '-', and not \"responder\", which routes call the webhook"
        raise FactError(f"found {name!r}, expected {expected}", "contacts", name)


def _check_people(system: System, place: Place, fact: Fact) -> None:
    for key in ("tell", "owner", "to"):
        named = getattr(fact, key, [])
        for contact in [named] if isinstance(named, str) else named:
            if contact and contact not in system.contacts:
                raise FactError(f"{contact!r} is not one of contacts; {offer(contact, system.contacts)}", *place, key)


def _check_sources(system: System, place: Place, source: str | list[str]) -> None:
    for text in [source] if isinstance(source, str) else source:
        document = text.partition(" / ")[0]
        if text and system.documents and document not in system.documents:
            known = ", ".join(system.documents)
            raise FactError(f"{text!r} does not begin with one of the documents ({known})", *place, "source")


def _escalates(system: System) -> list[str]:
    from muster.system.model import Sev, Severity

    return [*get_args(Severity), *get_args(Sev), *system.alerts]


def _known(name: str, known: Iterable[str], what: str, *place: str | int) -> None:
    if name not in (names := list(known)):
        raise FactError(f"there is no {what} {name!r}; {offer(name, names)}", *place)
