"""What an experiment would do, exactly, without doing it: ``muster drill --dry-run`` and ``chaos run --dry``.

Every fault is aimed by the very function that injects it, on the cluster as it is now, through a session that cannot
write. Nothing else is opened: no ledger, no Lease, no load.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

from chaoslib import substitute
from chaoslib.configuration import load_configuration

from muster.chaos import actions, leftovers, needs, probes
from muster.chaos.context import Place, place, promises
from muster.chaos.everybody import watched_s
from muster.chaos.over import over_s
from muster.chaos.stops import LOST_S, SWITCH, kill_file, switched_off
from muster.errors import MusterError, UsageError
from muster.faults import faults, guard
from muster.faults.intent import Intent
from muster.faults.registry import intend
from muster.judge.objectives import Objectives, related
from muster.kube import Kube, load_access
from muster.load.allowed import allowed_host, allowed_time
from muster.system import Environment
from muster.system.units import duration

Json = dict[str, Any]
ACTIONS, PROBES = "muster.chaos.actions", "muster.chaos.probes"


class Looking(Kube):
    """A session that reads and never writes, whatever it is asked."""

    def _send(self, method: str, path: str, **kwargs: Any) -> Json:
        if method != "GET":
            self._refuse(method, path)
        return super()._send(method, path, **kwargs)

    def _refuse(self, method: str, path: str) -> NoReturn:
        raise MusterError(f"a plan writes nothing, and {method} {path} would")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One experiment's plan: headings with their sentences, in the order in which things would happen.

    ``refused`` says why it would not begin or not go on, by the guard's word or because it cannot be done; empty when
    nothing speaks against it.
    """

    name: str
    title: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    refused: tuple[str, ...]


def draw(name: str, experiment: Mapping[str, Any]) -> Plan:
    """The plan of one experiment, validated before. Raises :class:`~muster.errors.UsageError`, KubeError."""
    configuration = load_configuration(experiment.get("configuration", {}))
    where = place(configuration)
    objectives = promises(experiment, name, where.system)
    if where.env.kubernetes is None:
        raise UsageError(f"environment {where.env.name} declares no kubernetes, so nothing can be broken there")
    refused: list[str] = []
    with ExitStack() as stack:
        source = where.env.kubernetes
        kube = stack.enter_context(Looking(load_access(source.kubeconfig, source.context)))
        refused += _kept_from(where.env, kube)
        left = leftovers.find(where.system.name, where.env, kube)
        if error := left.refused(f"{where.system.name}/{where.env.name}"):
            refused.append(str(error))
        hypothesis = experiment.get("steady-state-hypothesis") or {}
        told_s = needs.told_s(objectives, where.system, where.env)
        planner = _Planner(where, kube, configuration, refused, told_s)
        parts = (
            ("guard", (_allowed(where.env, kube.server),)),
            *([("left", left.told)] if left.told else []),
            ("hypothesis", (str(hypothesis.get("title", "none")), *planner.activities(hypothesis.get("probes", [])))),
            ("users", (_users(where, objectives, refused),)),
            ("method", planner.activities(experiment["method"])),
            ("undone by", planner.activities(experiment.get("rollbacks", []))),
            ("expected", _expected(where, objectives)),
            ("paged", _paged(where, objectives)),
            ("stopped when", _stopped(where, objectives)),
        )
    return Plan(name=name, title=str(experiment["title"]), parts=parts, refused=tuple(refused))


@dataclass(frozen=True)
class _Planner:
    """Puts activities into words; what cannot be done is added to ``refused``.

    ``told_s``: how long after the fault alerts may still tell of it.
    """

    where: Place
    kube: Kube
    configuration: Any
    refused: list[str]
    told_s: float
    aimed: list[Intent] = field(default_factory=list)  # what would be open by now

    def activities(self, given: list[Json]) -> tuple[str, ...]:
        """A sentence for each step of each."""
        return tuple(line for activity in given for line in self._activity(activity))

    def _activity(self, activity: Json) -> list[str]:
        name, provider = str(activity.get("name", activity.get("ref", ""))), activity.get("provider", {})
        arguments = substitute(provider.get("arguments") or {}, self.configuration, None)
        module, func = str(provider.get("module", "")), str(provider.get("func", ""))
        if module == ACTIONS and func in actions.ORDERS:
            first, *more = self._fault(name, func, arguments)
            return [f"{name}: {first}", *(f"  {line}" for line in more)]
        if module == ACTIONS and func in ("heal", "undo"):
            self.aimed[:] = [intent for intent in self.aimed if arguments.get("kind", intent.kind) != intent.kind]
        named = arguments.items() if isinstance(arguments, dict) else ()  # a process' may be one text
        words = ", ".join(f"{key}={value}" for key, value in named) or str(arguments or "")
        if module == PROBES and hasattr(probes, func):
            return [f"{name}: {func}({words})"]
        if module == ACTIONS and hasattr(actions, func):
            return [f"{name}: {_first_line(getattr(actions, func))}" + (f" ({words})" if words else "")]
        target = f"{module}.{func}" if module else str(provider.get("url") or provider.get("path"))
        kind = str(activity.get("type", "activity"))
        unguarded = "; no fault of Muster's: no ledger, no guard" if kind == "action" else ""
        return [f"{name}: {kind} {target}({words}){unguarded}"]

    def _fault(self, name: str, func: str, arguments: Json) -> list[str]:
        env = self.where.env
        try:
            order = actions.ORDERS[func](env, **arguments).outlasting(self.told_s)
            intent = intend(order.kind, self.kube, env, **order.how)
            guard.allow_together(env, self.aimed, intent)
        except (MusterError, ValueError, TypeError) as error:
            self.refused.append(f"{name}: {error}")
            return [f"not possible now: {error}"]
        self.aimed.append(intent)
        undone = _first_line(faults()[order.kind].heal)  # the kind's own words for it
        return [
            *intent.sentences,
            f"marked muster.dev/fault meanwhile: {', '.join(intent.touches) or 'nothing'}",
            f"ends by itself after {duration(order.expires_s)}; undone so: {undone}",
        ]


def _first_line(function: object) -> str:
    return (inspect.getdoc(function) or "").split("\n", 1)[0]


def _kept_from(env: Environment, kube: Kube) -> list[str]:
    """What would keep a drill from beginning now, apart from its faults."""
    reasons = []
    try:
        guard.may_begin(env)
    except guard.Refused as error:
        reasons.append(str(error))
    if told := switched_off(env, kube):
        reasons.append(told)
    return reasons


def _allowed(env: Environment, server: str) -> str:
    limits = env.guard
    spaces = ", ".join(limits.namespaces) or "no namespace"
    nodes = "nodes too" if limits.nodes else "no nodes"
    return (
        f"{spaces} of {server}; at most {limits.max_pods} pods and {limits.max_share:.0%} of the ready ones at once, "
        f"{nodes}"
    )


def _users(where: Place, objectives: Objectives, refused: list[str]) -> str:
    """The guard is asked as the recording asks it, so that both get the same answer."""
    order, env = objectives.load, where.env
    if order is None:
        return "none of ours"
    try:
        needed_s = needs.users_s(objectives, where.system, env)
        limit_s = allowed_time(env, rate=order.rate, needed_s=needed_s, wanted_s=needed_s)
        host = allowed_host(env, rate=order.rate, time_s=limit_s)
    except MusterError as error:
        if str(error) not in refused:
            refused.append(str(error))
        return f"not possible now: {error}"
    flow = f"{order.users} users send {order.rate} requests a second to {host}"
    return f"{flow}, and are needed for up to {duration(needed_s)}"


def _expected(where: Place, objectives: Objectives) -> tuple[str, ...]:
    """What the file promises; of a limit, what it comes to in this environment, too."""
    over = over_s(objectives, where.system, where.env)
    given = objectives.model_dump(exclude_defaults=True, exclude={"name", "load", "stop"}, by_alias=True)
    here = {key: f" ({duration(round(given[key] + over[key], 1))} here)" for key in given if over.get(key)}
    return tuple(f"{key}: {_shown(key, value)}{here.get(key, '')}" for key, value in given.items())


def _shown(key: str, value: Any) -> str:
    match value:
        case float() if key.startswith("user_errors"):
            return f"{value:.3g}" if value > 1 else f"{value:.1%}"
        case float():
            return duration(value)
        case dict():
            return "; ".join(f"{name}: {words}" for name, words in value.items())
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _paged(where: Place, objectives: Objectives) -> tuple[str, ...]:
    """Who is really told: drills page as incidents do."""
    told = []
    for contact in objectives.pages:
        channel = where.env.contacts.get(contact)
        if channel is None:
            told.append(f"{contact}: this environment has no way to reach them")
        else:
            told.append(f"{contact}, for real: {channel.kind} {channel.to or _host(channel.url)}")
    alerts = where.system.alerts
    for name, alert in alerts.items():
        if objectives.alert and name != objectives.alert and alert.slo == alerts[objectives.alert].slo:
            told.append(f"and {name}, on the same indicator, tells {', '.join(alert.tell)} if it fires")
    return tuple(told) or ("nobody is meant to be",)


def _host(url: str) -> str:
    """Where an address leads; paths, queries and users of webhooks may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def _elsewhere(env: Environment) -> str:
    ignored = [one if isinstance(one, str) else str(one).replace("'", "") for one in env.guard.ignore_alerts]
    held = ["it is silenced or inhibited in Alertmanager"] if env.alertmanager else []
    but = ["it fired when the drill began", *held, *([f"it is one of {', '.join(ignored)}"] if ignored else [])]
    return f"a critical alert of another system fires, unless {' or '.join(but)}"


def _stopped(where: Place, objectives: Objectives) -> tuple[str, ...]:
    stop, env, expected = objectives.stop, where.env, related(objectives, where.system)
    budget, lines = stop.budget(env.guard.user_errors_above), []
    if objectives.load is not None:
        lines += [
            f"more than {budget:.0%} of users' requests fail over {duration(stop.over_s)}",
            f"no request of theirs is answered for {duration(stop.no_answers_s)}",
            "the load generator dies",
        ]
    over_s = watched_s(where.system, env, stop)
    if over_s is not None:
        lines.append(f"more than {budget:.0%} of all requests fail over {duration(over_s)}, as Prometheus has it")
    if not lines:
        lines.append(f"(nobody watches users: no load of ours, so the budget of {budget:.0%} is held by alerts alone)")
    tolerated = expected if "page" not in objectives.must_not else frozenset()
    but = f" other than {', '.join(sorted(tolerated))}" if tolerated else ""
    lines.append(f"a critical alert of this system fires{but}")
    return (
        *lines,
        _elsewhere(env),
        f"the kill switch is thrown: ConfigMap {SWITCH}, or file {kill_file()}",
        f"the API server is out of reach for {duration(LOST_S)}, or the Lease is lost",
        "SIGINT, SIGTERM, SIGHUP",
    )
