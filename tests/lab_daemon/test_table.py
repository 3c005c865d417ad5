"""The lab at a glance shows what is not known as not known."""

import io

import httpx
from rich.console import Console

from lab.daemon import ComponentState, PodState, Status
from muster.cli.lab_table import Traffic, observe, render

SINK = ComponentState(name="sink", state="failed", pid=None, since=0.0, exit_code=1, message="sink ended [badly]")
POD = PodState(
    namespace="shop",
    name="web-1",
    status="Running",
    ready="1/1",
    restarts=2,
    image="registry.lab/web:1.2",
    ip="127.9.0.1",
    ports=[8080],
)


def text(pods, traffic):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(Status(running=True, endpoints={}, components=[SINK], pods=pods), traffic))
    return console.export_text()


def test_a_pod_is_one_line_with_version_address_and_rate():
    """What a person looks for first."""
    shown = text([POD], Traffic(rates={"web-1": 1234.5}, alerts=["Slow (firing)"]))
    line = next(line for line in shown.splitlines() if line.startswith("web-1"))
    assert line.split() == ["web-1", "1/1", "Running", "2", "1.2", "127.9.0.1:8080", "1,234"]
    assert "alerts: Slow (firing)" in shown


def test_a_failed_component_says_why():
    """Brackets in a message are text, not markup."""
    assert "sink ended [badly]" in text([], Traffic())


def test_without_prometheus_rates_and_alerts_are_unknown():
    """No answer is neither zero requests nor "no alerts"."""
    with httpx.Client(timeout=1.0, trust_env=False) as http:
        traffic = observe(http, {"prometheus": "http://127.0.0.1:1", "time_scale": "60"})
    assert traffic == Traffic(rates=None, alerts=None)
    shown = text([POD], traffic)
    assert shown.splitlines()[-1].rstrip().endswith("?")
    assert "alerts" not in shown


def test_without_the_api_pods_are_unknown():
    """An empty table would say that there are none."""
    assert "pods: unknown, the API does not answer" in text(None, Traffic())
