"""What a replica measures about itself: the metric names that the runbooks' queries stand on."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from itertools import chain
from pathlib import Path

from lab.service import metrics
from lab.service.settings import SettingsError

# Every threshold of the runbooks is a bound: a quantile between two bounds is only a guess.
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0, 2.5)
HANDSHAKE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
OWN = "x0tta6bl4_"  # how the service's own families begin; the others are about the process
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Telemetry:
    """All metrics of one replica. Series that alerts need exist from the start, at 0: absence must mean absence."""

    def __init__(self, version: str) -> None:
        self.requests = metrics.counter(
            "x0tta6bl4_requests_total", "Requests answered, probes and scrapes aside.", "method", "endpoint", "status"
        )
        self.duration = metrics.histogram(
            "x0tta6bl4_request_duration_seconds", "Time to answer.", REQUEST_BUCKETS, "endpoint"
        )
        self.errors = metrics.counter("x0tta6bl4_errors_total", "Failures by what failed.", "type")
        for kind in ("internal", "client", "handshake"):
            self.errors.of(kind)
        self._success = metrics.counter("x0tta6bl4_pqc_handshake_success_total", "Post-quantum handshakes made.")
        self._failure = metrics.counter("x0tta6bl4_pqc_handshake_failure_total", "Handshakes with peers that failed.")
        self._refused = metrics.counter(
            "x0tta6bl4_mesh_refused_total", "Callers at the mesh port with whom TLS found nothing in common."
        )
        self._latency = metrics.histogram(
            "x0tta6bl4_pqc_handshake_latency_seconds", "Time of a handshake, TCP aside.", HANDSHAKE_BUCKETS
        )
        self._fallback = metrics.gauge("x0tta6bl4_pqc_fallback_enabled", "1 when the mesh may speak classical TLS.")
        self._peers = metrics.gauge("x0tta6bl4_mesh_peers", "Peers alive.")
        self._build = metrics.gauge("x0tta6bl4_build_info", "The version that runs; always 1.", "version")
        self._memory = metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
        self._cpu = metrics.counter("process_cpu_seconds_total", "User and system CPU time in seconds.")
        self._started = metrics.gauge("process_start_time_seconds", "Start of the process, seconds since the epoch.")
        self.handshake_success, self.handshake_failure = self._success.of(), self._failure.of()
        self.refused, self.handshake_latency = self._refused.of(), self._latency.of()
        self.fallback, self.peers = self._fallback.of(), self._peers.of()
        self._build.of(version).value = 1
        self._started.of().value = round(time.time(), 3)
        self._families = [value for value in vars(self).values() if isinstance(value, metrics.Family)]

    def silence(self, names: Collection[str]) -> None:
        """Show these families no more; ``all`` are the service's own.

        Raises:
            SettingsError: There is no family of that name.
        """
        known = {family.name for family in self._families}
        for name in names:
            if name not in known | {"all"}:
                raise SettingsError(f'FAULT_SILENT_METRICS: {name} is not a family of /metrics, nor "all"')
        self._families = [
            family
            for family in self._families
            if family.name not in names and not ("all" in names and family.name.startswith(OWN))
        ]

    def render(self) -> bytes:
        """The page that Prometheus scrapes."""
        self._memory.of().value = resident_bytes()
        self._cpu.of().value = time.process_time()
        lines = chain.from_iterable(family.render() for family in self._families)
        return ("\n".join(lines) + "\n").encode()


def resident_bytes() -> int:
    """Resident memory of this process, from the kernel; 0 where there is no /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
