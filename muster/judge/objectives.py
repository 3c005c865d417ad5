"""What an experiment promises: the ``extensions: [{name: muster, ...}]`` of its file, typed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from muster.errors import UsageError
from muster.judge.stopping import StopConditions
from muster.system.fact import Fact, Ratio, Seconds
from muster.system.model import System
from muster.system.promised import rate_of

Forbidden = Literal["page", "rollback"]
OTHER_PAGE, SECOND_ROLLBACK = "other-page", "second-rollback"
Beyond = Literal["other-page", "second-rollback"]  # beside what must follow: to whom nobody named, once more


class LoadOrder(Fact):
    """The users that an experiment asks for."""

    rate: int = Field(500, gt=0)  # requests per second offered; in a file also "objective" or "50% of target"
    users: int = Field(50, gt=0)

    @field_validator("rate", mode="before")
    @classmethod
    def _as_promised(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        system = (info.context or {}).get("system")
        if system is None:
            raise ValueError(f"{value!r} follows what a system promises, and no system is named")
        try:
            return round(rate_of(value, system))
        except UsageError as error:
            raise ValueError(str(error)) from None

    def at(self, rate: float) -> LoadOrder:
        """The same at another rate, with users in proportion. Raises :class:`~muster.errors.UsageError` below 1/s."""
        if rate < 1:
            raise UsageError(f"a rate of {rate:g}/s: users send one request a second at least")
        return LoadOrder(rate=round(rate), users=math.ceil(self.users * rate / self.rate))


class Objectives(Fact):
    """What must happen, by when, and what must not happen.

    ``detect_within``, ``webhook_within`` count from the fault and *over the alert's own window* (its ``for`` at the
    environment's scale). ``page_within`` counts from the alert; ``decide_within``, ``traffic_off_within`` and
    ``rollback_within`` from the responder's receipt of the webhook, and so does ``recovered_within`` where a rollback
    is expected; where the drill undoes the fault by hand, as a person with the runbook would, it counts from there;
    else from the fault. ``finds_within`` counts from the fault.

    So that one file holds at every time scale, each limit that something physical stands below counts over that, too:
    over what ``drill.started`` holds as ``over_s`` (limit -> seconds here, see ``muster.chaos.over``).
    """

    name: Literal["muster"] = "muster"
    alert: str = ""
    page: str = ""  # the contact who must be told
    also_page: tuple[str, ...] = ()  # and who else
    finds: dict[str, str] = Field({})  # checks that must fail while the fault is in force -> words of their sentence
    unknown: tuple[str, ...] = ()  # checks that must not know while the fault is in force: a pass would be a lie
    breaks: dict[str, str] = Field({})  # the link that must be found broken -> words of the sentence that says why
    killed: str = ""  # why a container must end, in the kubelet's word: OOMKilled
    action: Literal["rollback", "by-hand", "none"] = "none"
    must_not: tuple[Forbidden | Beyond, ...] = ()
    outlast: str = ""  # the fault must have been in force until this alert would surely have told, had it been one
    blind: tuple[str, ...] = ()  # alerts that cannot see this fault, and the runbook should know it
    may_fire: tuple[str, ...] = ()  # other critical alerts that the fault may bring along; any more stops the drill
    takes_s: Seconds = Field(0.0, alias="takes")  # at true scale, until it can show: a leak, a back-off
    gradual: bool = False  # the fault grows until the alert sees it: windows alone do not predict when
    detect_within_s: Seconds | None = Field(None, alias="detect_within")
    webhook_within_s: Seconds | None = Field(None, alias="webhook_within")
    page_within_s: Seconds | None = Field(None, alias="page_within")
    decide_within_s: Seconds | None = Field(None, alias="decide_within")
    traffic_off_within_s: Seconds | None = Field(None, alias="traffic_off_within")
    rollback_within_s: Seconds | None = Field(None, alias="rollback_within")
    recovered_within_s: Seconds | None = Field(None, alias="recovered_within")
    finds_within_s: Seconds | None = Field(None, alias="finds_within")
    user_errors_below: Ratio | None = None  # share of users' requests that fail, fault to end
    user_p95_above_s: Seconds | None = Field(None, alias="user_p95_above")  # what users must have felt of it at worst
    load: LoadOrder | None = None
    stop: StopConditions = StopConditions()  # when the experiment is ended before its time

    @model_validator(mode="after")
    def _make_sense(self) -> Objectives:
        if "page" in self.must_not and self.page:
            raise ValueError(f"page: {self.page} is expected and must_not forbids it")
        if "rollback" in self.must_not and self.action == "rollback":
            raise ValueError("action: rollback is expected and must_not forbids it")
        if not self.alert and (self.page or self.action == "rollback" or self.detect_within_s is not None):
            raise ValueError("alert: a page, a rollback or a detection is expected, but no alert is named")
        if self.user_errors_below is not None and self.load is None:
            raise ValueError("load: user_errors_below needs users, and none are asked for")
        if self.also_page and not self.page:
            raise ValueError("also_page: nobody is named by page")
        if self.gradual and self.detect_within_s is None:
            raise ValueError("gradual: no window predicts the detection, so detect_within must limit it")
        if self.outlast and not (self.must_not or self.blind):
            raise ValueError("outlast: says how long silence must last, and neither must_not nor blind asks for any")
        if self.finds_within_s is not None and not self.finds:
            raise ValueError("finds_within: no check is named by finds")
        if self.user_p95_above_s is not None and self.load is None:
            raise ValueError("load: user_p95_above needs users, and none are asked for")
        if self.breaks and (set(self.breaks) - {"alert", "page", "webhook"} or len(self.breaks) != 1):
            raise ValueError("breaks: expected one of alert, page, webhook with words of the reason")
        promised = (self.alert, self.finds, self.unknown, self.killed, self.must_not, self.blind)
        if not (any(promised) or self.recovered_within_s or self.user_errors_below):
            raise ValueError("nothing is promised, so nothing would be proven")
        return self

    @model_validator(mode="after")
    def _have_what_goes_beyond(self) -> Objectives:
        if OTHER_PAGE in self.must_not and not self.page:
            raise ValueError(f"must_not {OTHER_PAGE}: nobody is named by page")
        if SECOND_ROLLBACK in self.must_not and self.action != "rollback":
            raise ValueError(f"must_not {SECOND_ROLLBACK}: no first one is expected by action")
        return self

    @property
    def pages(self) -> tuple[str, ...]:
        """Everybody who must be told; ``page`` comes first."""
        return (self.page, *self.also_page) if self.page else ()


def parse_objectives(
    extension: Mapping[str, Any] | None, *, where: str, system: System | None = None, rate: float | None = None
) -> Objectives:
    """The objectives of one experiment file. ``where`` is its name; ``system`` makes its names be checked.

    ``rate``: requests a second of the users instead of the file's own, where it has users.

    Raises :class:`~muster.errors.UsageError` in one sentence that names file, key and what was expected.
    """
    if extension is None:
        raise UsageError(f"{where}: extensions has no entry named 'muster', so no objective is stated")
    try:
        objectives = Objectives.model_validate(dict(extension), context={"system": system})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}: extensions muster{f' {key}' if key else ''}: {message}") from None
    if system is not None:
        _names_exist(objectives, system, where)
    if rate is not None and objectives.load is not None:
        return objectives.model_copy(update={"load": objectives.load.at(rate)})
    return objectives


def _names_exist(objectives: Objectives, system: System, where: str) -> None:
    for alert in filter(None, (objectives.alert, objectives.outlast, *objectives.blind, *objectives.may_fire)):
        if alert not in system.alerts:
            known = ", ".join(sorted(system.alerts))
            raise UsageError(f"{where}: system {system.name} has no alert {alert!r}; it has {known}")
    for contact in objectives.pages:
        if contact not in system.contacts:
            known = ", ".join(sorted(system.contacts))
            raise UsageError(f"{where}: system {system.name} has no contact {contact!r}; it has {known}")


def related(objectives: Objectives, system: System) -> frozenset[str]:
    """The alerts that an experiment names, and those on the expected one's indicator: its limits are passed one by one.

    One that is blind, or that the fault must outlast, is named, too: what it means if it fires is the judge's to say.
    """
    expected = system.alerts.get(objectives.alert)
    same = [name for name, alert in system.alerts.items() if expected is not None and alert.slo == expected.slo]
    named = (objectives.alert, objectives.outlast, *objectives.blind, *objectives.may_fire)
    return frozenset(filter(None, (*named, *same)))


def may_act(objectives: Objectives, system: System) -> dict[Forbidden, tuple[str, ...]]:
    """The alerts that might do what the experiment forbids: every alert pages, a rollback trigger rolls back."""
    by_what: dict[Forbidden, tuple[str, ...]] = {
        "page": tuple(name for name, alert in system.alerts.items() if alert.tell),
        "rollback": tuple(name for name, alert in system.alerts.items() if alert.action == "rollback"),
    }
    return {what_not: names for what_not, names in by_what.items() if what_not in objectives.must_not}


def window_s(objectives: Objectives, system: System, scale: float) -> float:
    """The expected alert's ``for``, in seconds at this time scale; 0 when no alert is expected."""
    alert = system.alerts.get(objectives.alert)
    if alert is None:
        return 0.0
    limit = system.slo[alert.slo].limit(alert.level)
    true_s = alert.for_s if alert.for_s is not None else (limit.for_s if limit is not None else 0.0)
    return true_s / scale
