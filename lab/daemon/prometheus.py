"""The lab's Prometheus: its configuration and how it is run.

Pods are discovered through the Kubernetes API as on a cluster; intervals are the true ones divided by the time scale.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from lab.daemon import discovery
from lab.daemon.folder import Folder, write_private

SCRAPE_S = 15.0
SCRAPE_TIMEOUT_S = 10.0
STATES_S = 30.0  # kube-state-metrics: as the kube-prometheus stack does
LOOKBACK_S = 300.0  # how long a sample counts as current
RESEND_S = 60.0  # how often a firing alert is repeated to Alertmanager
DISCOVERY_RELOAD_S = 5.0  # how often newly discovered targets are taken over
_DISCOVERY_S = 5.0  # how often they are handed over before that; Prometheus has no flag for it, so it is not scaled
_FIRST_SCRAPE_S = 1.9  # and then the first scrape, its evaluation, and processes that wait for a core
KEPT = "2h"
BLOCK_S = 7200.0  # Prometheus' own: how much it holds in memory, with every series of a pod that is long gone


def configuration(folder: Folder, plan: dict[str, str], *, built_in: bool = True) -> str:
    """The YAML of ``prometheus.yml``; not ``built_in``: for a Prometheus without ``kubernetes_sd_configs``."""
    scale = float(plan["time_scale"])
    config = {
        "global": {
            "scrape_interval": whole(SCRAPE_S / scale),
            "scrape_timeout": whole(min(SCRAPE_TIMEOUT_S, SCRAPE_S / scale)),
            "evaluation_interval": whole(SCRAPE_S / scale),
        },
        "rule_files": [str(folder.config / "rules" / "*.yml")],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [plan["alertmanager"].removeprefix("http://")]}]}]
        },
        "scrape_configs": [
            {
                "job_name": "pods",
                **(
                    {"kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": plan["kubeconfig"]}]}
                    if built_in
                    else {"file_sd_configs": [{"files": [str(discovery.targets_file(folder))]}]}
                ),
                "relabel_configs": _relabeling(),
            },
            {
                "job_name": "kube-state-metrics",
                "scrape_interval": whole(STATES_S / scale),
                "honor_labels": True,  # namespace and pod are the object's, not the exporter's
                "static_configs": [{"targets": [plan["kube_state_metrics"].removeprefix("http://")]}],
            },
            {
                "job_name": "cadvisor",
                "honor_labels": True,
                "metrics_path": "/metrics/cadvisor",
                "authorization": {"credentials_file": str(folder.root / "token")},
                "static_configs": [{"targets": [plan["kubelet"].removeprefix("http://")]}],
            },
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


def configure(folder: Folder, plan: dict[str, str]) -> bool:
    """Write ``prometheus.yml``; return whether Prometheus discovers pods by itself."""
    file = configuration_file(folder)
    write_private(file, configuration(folder, plan))
    if discovery.is_built_in(file):
        return True
    write_private(discovery.targets_file(folder), "[]")
    write_private(file, configuration(folder, plan, built_in=False))
    return False


def _relabeling() -> list[dict[str, Any]]:
    """Only annotated pods' port named ``http``; the labels by which rules and people know a pod."""
    meta = "__meta_kubernetes_pod"
    kept = [(f"{meta}_annotation_prometheus_io_scrape", "true"), (f"{meta}_container_port_name", "http")]
    named = {
        "__meta_kubernetes_namespace": "namespace",
        f"{meta}_name": "pod",
        f"{meta}_label_app": "app",
        f"{meta}_label_pod_template_hash": "pod_template_hash",
    }
    return [
        *({"source_labels": [source], "regex": regex, "action": "keep"} for source, regex in kept),
        {"source_labels": [f"{meta}_phase"], "regex": "Succeeded|Failed", "action": "drop"},
        *({"source_labels": [source], "target_label": target} for source, target in named.items()),
        {"source_labels": [f"{meta}_label_app"], "regex": "(.+)", "target_label": "job"},
    ]


def argv(program: str, folder: Folder, plan: dict[str, str]) -> tuple[str, ...]:
    """The command line. What Prometheus itself waits for is scaled, too; its storage stays small.

    Blocks are scaled because pods come and go as fast as all else: kept in memory for two hours, what half an hour of
    drills had left made each query ten times as slow.
    """
    scale = float(plan["time_scale"])
    block = whole(BLOCK_S / scale)
    return (
        program,
        f"--config.file={configuration_file(folder)}",
        f"--storage.tsdb.path={folder.data / 'prometheus'}",
        f"--storage.tsdb.retention.time={KEPT}",
        "--storage.tsdb.wal-segment-size=10MB",
        f"--storage.tsdb.min-block-duration={block}",
        f"--storage.tsdb.max-block-duration={block}",  # merging them would only cost
        "--query.max-concurrency=4",  # of one core: twenty readers at once would hold up scrapes until they time out
        f"--web.listen-address={plan['prometheus'].removeprefix('http://')}",
        "--web.enable-lifecycle",
        # Discovery has a clock of its own, 5 s twice over; the second half can be set, the first cannot.
        f"--scrape.discovery-reload-interval={whole(DISCOVERY_RELOAD_S / scale)}",
        f"--query.lookback-delta={whole(LOOKBACK_S / scale)}",
        f"--rules.alert.resend-delay={whole(RESEND_S / scale)}",
    )


def discovery_s(time_scale: float) -> float:
    """How long a new pod may stay unseen, in whole seconds: 12 at true scale, 7 at a time scale of 60."""
    return math.ceil(_DISCOVERY_S + DISCOVERY_RELOAD_S / time_scale + _FIRST_SCRAPE_S)


def configuration_file(folder: Folder) -> Path:
    """Where the configuration lies."""
    return folder.config / "prometheus.yml"


def whole(seconds: float) -> str:
    """A duration as Prometheus reads it: whole units only (``250ms``, ``15s``), never zero."""
    milliseconds = max(1, round(seconds * 1000))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
