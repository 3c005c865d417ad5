"""What the cluster itself says of the workload's pods during an experiment."""

from __future__ import annotations

from muster.chaos.story import Story
from muster.chaos.watch import Watcher
from muster.kube import Kube
from muster.system.environment import KubernetesSource
from muster.timeline import Kind
from muster.workload import Json, digest_of, hash_of, is_ready, is_terminating


class Pods(Watcher):
    """The workload's pods: which come and go, how containers end, when the last ready one of a bad release is off."""

    source = "kubernetes"

    def __init__(self, story: Story, kube: Kube, where: KubernetesSource) -> None:
        super().__init__(story)
        self._kube, self._where = kube, where
        self._ready: dict[str, str] | None = None  # pod -> template hash
        self._known: dict[str, str] = {}
        self._ended: dict[tuple[str, str], int] | None = None  # pod and container -> restarts already told
        self._was_on = False

    def look(self) -> None:
        """Tell which pods became ready and which are gone or going."""
        path = f"/api/v1/namespaces/{self._where.namespace}/pods"
        pods = self._kube.get(path, labelSelector=self._where.selector)["items"]
        alive = {pod["metadata"]["name"]: pod for pod in pods if not is_terminating(pod)}
        ready = {name: hash_of(pod) for name, pod in alive.items() if is_ready(pod)}
        self._tell_ended(pods)
        if self._ready is not None:
            for name in ready.keys() - self._ready.keys():
                digest = digest_of(alive[name], self._where.container)
                message = f"pod {name} ready"
                self.story.tell(
                    Kind.POD_READY, source=self.source, message=message, pod=name, hash=ready[name], digest=digest
                )
            for name in self._known.keys() - alive.keys():
                self.story.tell(
                    Kind.POD_GONE, source=self.source, message=f"pod {name} gone", pod=name, hash=self._known[name]
                )
            self._tell_traffic_off(ready)
        self._ready, self._known = ready, {name: hash_of(pod) for name, pod in alive.items()}

    def _tell_ended(self, pods: list[Json]) -> None:
        """Tell each end of a container, as the kubelet reports it; those from before the first look are not ours."""
        known, first = self._ended or {}, self._ended is None
        self._ended = {}
        for pod in pods:
            for status in pod.get("status", {}).get("containerStatuses") or []:
                where = (str(pod["metadata"]["name"]), str(status["name"]))
                count = int(status.get("restartCount", 0))
                last = (status.get("lastState") or {}).get("terminated")
                self._ended[where] = count
                if first or not last or count <= known.get(where, 0):
                    continue
                reason, code = str(last.get("reason", "")), last.get("exitCode")
                message = f"container {where[1]} of {where[0]} ended: {reason}, exit code {code}"
                self.story.tell(
                    Kind.CONTAINER_ENDED,
                    source=self.source,
                    message=message,
                    pod=where[0],
                    container=where[1],
                    reason=reason,
                    exit_code=code,
                )

    def _tell_traffic_off(self, ready: dict[str, str]) -> None:
        confirmed = self.story.timeline().first(Kind.FAULT_CONFIRMED)
        bad = confirmed.data.get("hash") if confirmed else None
        if not bad:
            return
        on = bad in ready.values()
        if self._was_on and not on:
            message = "no ready replica of the bad release is left"
            self.story.tell(Kind.TRAFFIC_OFF, source=self.source, message=message, hash=bad)
        self._was_on = on

    def close(self) -> None:
        """Close the session."""
        self._kube.close()
