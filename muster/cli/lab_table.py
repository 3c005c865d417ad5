"""The lab at a glance: pods with versions, addresses and request rates, components, alerts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from muster.errors import MusterError

if TYPE_CHECKING:
    import httpx

    from lab.daemon import Status

_REFRESH_S = 1.0
_GOOD = {"running", "Running", "Succeeded"}


@dataclass
class Traffic:
    """What Prometheus says: requests per second by pod and the active alerts; None where it did not say."""

    rates: dict[str, float] | None = None
    alerts: list[str] | None = field(default=None)


def observe_once(endpoints: dict[str, str]) -> Traffic:
    """As :func:`observe`; without endpoints nothing is known."""
    import httpx

    if not endpoints:
        return Traffic()
    with httpx.Client(timeout=1.0, trust_env=False) as http:
        return observe(http, endpoints)


def observe(http: httpx.Client, endpoints: dict[str, str]) -> Traffic:
    """Ask Prometheus once. What it does not answer is unknown, not zero."""
    window = f"{max(1, round(120 / float(endpoints['time_scale'])))}s"  # eight scrapes
    query = f'sum by (pod) (rate({{__name__=~".+_requests_total"}}[{window}]))'
    rates = _ask(http, f"{endpoints['prometheus']}/api/v1/query", query=query)
    alerts = _ask(http, f"{endpoints['prometheus']}/api/v1/alerts")
    return Traffic(
        rates=None
        if rates is None
        else {each["metric"].get("pod", ""): float(each["value"][1]) for each in rates["result"]},
        alerts=None
        if alerts is None
        else sorted({f"{each['labels']['alertname']} ({each['state']})" for each in alerts["alerts"]}),
    )


def _ask(http: httpx.Client, url: str, **params: str) -> dict[str, Any] | None:
    import httpx

    try:
        data: dict[str, Any] = http.get(url, params=params).raise_for_status().json()["data"]
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return data


def render(status: Status, traffic: Traffic) -> Group:
    """Two tables, and the alerts where they are known."""
    parts: list[Any] = [_components(status), _pods(status, traffic)]
    if status.limits:
        parts.append(Text(", ".join(f"{name}: {holder}" for name, holder in sorted(status.limits.items()))))
    if traffic.alerts is not None:
        parts.append(Text(f"alerts: {', '.join(traffic.alerts) or 'none'}", style="red" if traffic.alerts else "green"))
    return Group(*parts)


def _components(status: Status) -> Table:
    table = Table("component", "state", "pid", "for", "", box=None, pad_edge=False, header_style="bold")
    for each in status.components:
        table.add_row(
            each.name,
            _coloured(each.state),
            str(each.pid or ""),
            f"{time.time() - each.since:.0f} s",
            Text(each.message),
        )
    return table


def _pods(status: Status, traffic: Traffic) -> Table | Text:
    if status.pods is None:
        return Text("pods: unknown, the API does not answer", style="red")
    columns = ("pod", "ready", "status", "restarts", "version", "address", "req/s")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for pod in sorted(status.pods, key=lambda pod: (pod.namespace, pod.name)):
        address = f"{pod.ip}:{pod.ports[0]}" if pod.ip and pod.ports else pod.ip
        rate = "?" if traffic.rates is None else f"{traffic.rates[pod.name]:,.0f}" if pod.name in traffic.rates else ""
        table.add_row(
            pod.name, pod.ready, _coloured(pod.status), str(pod.restarts),
            pod.image.rpartition(":")[2], address, rate,
        )  # fmt: skip
    return table


def _coloured(state: str) -> Text:
    return Text(state, style="green" if state in _GOOD else "red")


def watch(status: Callable[[], Status], endpoints: dict[str, str]) -> None:
    """Show the lab until it ends (then raises :class:`MusterError`) or until KeyboardInterrupt.

    Off a terminal, only what changes is printed.
    """
    import httpx

    with httpx.Client(timeout=1.0, trust_env=False) as http, _screen() as show:
        while (now := status()).running:
            show(now, observe(http, endpoints))
            time.sleep(_REFRESH_S)
    raise MusterError(f"the lab in {endpoints['state']} has ended")


@contextmanager
def _screen() -> Iterator[Callable[[Status, Traffic], None]]:
    if not sys.stdout.isatty():
        yield _Changes()
        return
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        yield lambda status, traffic: live.update(render(status, traffic), refresh=True)


class _Changes:
    """Prints one line whenever a component, a pod or an alert is in another state than before."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, status: Status, traffic: Traffic) -> None:
        now = {f"component {each.name}": each.state for each in status.components}
        now |= {f"pod {each.namespace}/{each.name}": f"{each.status} {each.ready}" for each in status.pods or ()}
        now |= {"alerts": ", ".join(traffic.alerts) or "none"} if traffic.alerts is not None else {}
        gone = {name: "gone" for name in self._known.keys() - now.keys() if self._known[name] != "gone"}
        for name, state in (now | gone).items():
            if self._known.get(name) != state:
                print(f"{time.strftime('%H:%M:%S')}  {name}: {state}", flush=True)
        self._known = now
