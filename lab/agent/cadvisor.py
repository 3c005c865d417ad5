"""``/metrics/cadvisor``: what containers use, under cAdvisor's names and with the labels that a kubelet gives them.

https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import psutil

from lab.agent import usage
from lab.agent.container import Container
from lab.agent.pod import Pod
from lab.agent.usage import Usage
from lab.cgroups import CPU_PERIOD_US

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Value = Callable[[Container, Usage], float | None]
Object = dict[str, Any]

# Name, type, help, value (None: not known for this container).
_FAMILIES: tuple[tuple[str, str, str, Value], ...] = (
    ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time in seconds.", lambda _, u: u.cpu_s),
    ("container_cpu_cfs_periods_total", "counter", "Elapsed enforcement periods.", lambda _, u: u.periods),
    ("container_cpu_cfs_throttled_periods_total", "counter", "Throttled periods.", lambda _, u: u.throttled),
    ("container_cpu_cfs_throttled_seconds_total", "counter", "Throttled time.", lambda _, u: u.throttled_s),
    ("container_memory_usage_bytes", "gauge", "Memory in use, caches included.", lambda _, u: u.memory),
    ("container_memory_working_set_bytes", "gauge", "Memory that cannot be dropped.", lambda _, u: u.working_set),
    ("container_memory_rss", "gauge", "Anonymous memory in bytes.", lambda _, u: u.rss),
    ("container_oom_events_total", "counter", "Kills for memory, over all restarts.", lambda c, _: _kills(c)),
    (
        "container_spec_memory_limit_bytes",
        "gauge",
        "Memory limit, 0 for none.",
        lambda c, _: c.state.limit("memory") or 0,
    ),
    ("container_spec_cpu_period", "gauge", "CPU period in microseconds.", lambda _c, _u: CPU_PERIOD_US),
    ("container_spec_cpu_quota", "gauge", "CPU quota in microseconds per period.", lambda c, _: _quota(c)),
    ("container_start_time_seconds", "gauge", "Start time since unix epoch.", lambda c, _: c.started_at),
    ("container_last_seen", "gauge", "Last time it was seen.", lambda _c, _u: time.time()),
)


def text(pods: list[Pod]) -> str:
    """The whole page: one series per running container and family, and the machine's size."""
    found = [
        (container, _labels(pod.pod, container), usage.of(process)) for pod, container, process in usage.running(pods)
    ]
    lines = []
    for name, kind, help_text, value in _FAMILIES:
        cpu = 'cpu="total",' if name == "container_cpu_usage_seconds_total" else ""
        series = [(labels, value(container, used)) for container, labels, used in found]
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{cpu}{labels}}} {number!r}" for labels, number in series if number is not None]
    machine = (
        ("machine_cpu_cores", "Number of logical CPU cores.", os.cpu_count() or 1),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", psutil.virtual_memory().total),
    )
    for name, help_text, number in machine:
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", f"{name} {number}"]
    return "\n".join(lines) + "\n"


def _kills(container: Container) -> int:
    """Of all runs, so that a restart does not hide why it was; cAdvisor forgets with each run."""
    group = container.process.group if container.process else None
    return container.oom_kills + (group.oom_kills() if group else 0)


def _quota(container: Container) -> int | None:
    cores = container.state.limit("cpu")
    return None if cores is None else round(cores * CPU_PERIOD_US)


def _labels(pod: Object, container: Container) -> str:
    meta = pod["metadata"]
    name = container.state.container_id.rpartition("/")[2]
    quality = pod.get("status", {}).get("qosClass", "BestEffort").lower()
    quality = "" if quality == "guaranteed" else f"/{quality}"
    labels = {
        "container": container.name,
        "id": f"/kubepods{quality}/pod{meta['uid']}/{name}",
        "image": container.state.image,
        "name": name,
        "namespace": meta["namespace"],
        "pod": meta["name"],
    }
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
