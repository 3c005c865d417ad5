"""An SLO's reading from a real Prometheus: values, gaps, staleness, and silence that is never taken for zero."""

import json
import shutil
import subprocess
import time
import urllib.request

import pytest
import yaml
from ports import free_port

from muster.snapshot import FailureKind

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="the program prometheus is not installed"),
    pytest.mark.xdist_group("one-replica"),  # one Prometheus for all
]


class Exposed:
    """What the scraped replica says: a counter that grows by ``step`` with each scrape, or that it is down."""

    def __init__(self):
        self.bad = self.all = 0
        self.step, self.down = 10, False

    def page(self, _query):
        if self.down:
            return 500, b"down"
        self.all += self.step
        page = f'all_total{{code="bad"}} {self.bad}\nall_total{{code="good"}} {self.all}\n'
        return 200, page.encode(), ("Content-Type", "text/plain")


@pytest.fixture(scope="module")
def replica():
    return Exposed()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, serve_module, replica):
    """A real Prometheus that scrapes one replica four times a second (it takes 5 s to find its first target)."""
    folder, scraped = tmp_path_factory.mktemp("prometheus"), serve_module({"/metrics": replica.page})
    port = free_port()
    target = {"targets": [f"127.0.0.1:{scraped.port}"], "labels": {"pod": "a", "app": "app"}}
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
        "scrape_configs": [{"job_name": "app", "static_configs": [target]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.wal-segment-size=10MB",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def exposed(replica, prometheus):
    """The replica, up and with traffic in the whole window."""
    replica.step, replica.down = 10, False
    _until(
        lambda: _value(prometheus, "min_over_time(up[1s])") == 1 and _value(prometheus, "sum(rate(all_total[1s]))") > 0
    )
    return replica


def _value(url, query):
    with urllib.request.urlopen(f"{url}/api/v1/query?query={query}", timeout=10) as answer:  # noqa: S310
        result = json.load(answer)["data"]["result"]
    return float(result[0]["value"][1]) if result else -1.0


def _until(ready, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if found := ready():
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


@pytest.fixture
def here(environment, prometheus, exposed):
    return environment(prometheus=prometheus, metric_selector='app="app"', time_scale=60)


def test_a_ratio_is_read_whole_and_by_replica(read, here):
    """No errors and some traffic are 0%, for the system and for its replica, over the scaled window."""
    whole = {"value": 0.0, "per_replica": {"a": 0.0}, "window_s": 1.0, "gaps": [], "gaps_of": {}}
    _until(lambda: read(here, "error_ratio").value == whole)  # on a busy machine a scrape may have come too late


def test_targets_say_who_is_scraped(read, here):
    """The environment's own targets, by their labels."""
    _until(lambda: [(one["pod"], one["health"]) for one in read(here, "targets").value or []] == [("a", "up")])


def test_another_environments_targets_do_not_count(read, environment, prometheus, exposed):
    """A selector that matches no target is empty: somebody else's health is not ours."""
    elsewhere = environment(prometheus=prometheus, metric_selector='app="other"', time_scale=60)
    assert read(elsewhere, "targets").failure.kind is FailureKind.EMPTY
    found = read(elsewhere, "error_ratio").failure
    assert found.kind is FailureKind.EMPTY
    assert 'no target matches app="other"' in found.message


def test_no_traffic_is_unknown_not_zero(read, here, prometheus, exposed):
    """0/0 is no share of anything."""
    exposed.step = 0
    _until(lambda: _value(prometheus, "sum(rate(all_total[1s]))") == 0)
    found = _until(
        lambda: (no := read(here, "error_ratio").failure) and no.message.startswith("no traffic in 1s") and no
    )
    assert found.kind is FailureKind.EMPTY


def test_a_target_that_is_down_is_a_gap_or_no_samples(read, here, prometheus, exposed):
    """While old samples still fill the window the value has a gap; then there are none, and the reason is told."""
    exposed.down = True
    _until(lambda: _value(prometheus, "up") == 0)
    first = read(here, "error_ratio")
    said = " ".join(first.value["gaps"]) if first.failure is None else first.failure.message
    assert "target a is down" in said
    _until(lambda: read(here, "error_ratio").failure is not None)
    found = read(here, "error_ratio").failure
    assert found.kind is FailureKind.EMPTY
    assert "no samples in 1s" in found.message
    assert "target a is down" in found.message


def test_a_query_that_prometheus_refuses_keeps_its_words(read, here, system, monkeypatch):
    """A parse error is a failed reading with Prometheus' own explanation."""
    broken = system.slo["error_ratio"].model_copy(update={"query": "sum(rate(", "per_replica": ""})
    monkeypatch.setitem(system.slo, "error_ratio", broken)
    found = read(here, "error_ratio").failure
    assert found.kind is FailureKind.HTTP_STATUS
    assert "parse error" in found.message
