"""The HorizontalPodAutoscaler controller (autoscaling/v2, resource metrics) with the real one's conditions and events.

Its period of 15 s and its stabilization of 5 minutes are divided by the time scale (the period is 1 s at least). Of
``spec.behavior`` it honours the stabilization windows and ``selectPolicy: Disabled``; other policies are not applied.
"""

from __future__ import annotations

import copy
import time

from lab.client import Client
from lab.controllers.autoscaling import MetricError, Proposal, Recommendations, Target, bounded, propose, usage_of
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError
from lab.objects import condition, key_of, labels_of, matches, now, quantity
from lab.recorder import Recorder
from lab.resources import DEPLOYMENTS, HORIZONTALPODAUTOSCALERS, PODS, REPLICASETS, Object, Resource

_PERIOD_S = 15.0
_SHORTEST_PERIOD_S = 1.0
_STABILIZATION_S = 300.0
_TARGETS = {("apps/v1", "Deployment"): DEPLOYMENTS, ("apps/v1", "ReplicaSet"): REPLICASETS}
_METRICS = Resource("metrics.k8s.io/v1beta1", "pods", "PodMetrics")


class AutoscalerController(Controller):
    """Sets the size of workloads. Looks at each autoscaler once a period."""

    name = "horizontal-pod-autoscaler"
    workers = 1

    def __init__(self, client: Client, informers: Informers, recorder: Recorder, *, time_scale: float = 1.0) -> None:
        super().__init__(client, informers, recorder)
        self._time_scale = time_scale
        self._period_s = max(_SHORTEST_PERIOD_S, _PERIOD_S / time_scale)
        self._scalers = self.on_change(HORIZONTALPODAUTOSCALERS, self._changed)
        self._pods = self.on_change(PODS, lambda _old, _new: None)
        self._recommended: dict[str, Recommendations] = {}

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self._recommended.pop(key_of(old), None)
        elif old is None and new is not None:
            # As on a cluster the first look comes a period later; a change of the spec is seen at the next one.
            self.enqueue_after(key_of(new), self._period_s)

    async def sync(self, key: str) -> None:
        """One look at one autoscaler."""
        known = self._scalers.by_key(key)
        if known is None:
            return
        self.enqueue_after(key, self._period_s)
        scaler = copy.deepcopy(known)
        status = scaler.setdefault("status", {})
        try:
            await self._reconcile(key, scaler, status)
        finally:
            if status != known.get("status"):
                changed = await self.client.update(HORIZONTALPODAUTOSCALERS, scaler, subresource="status")
                self._scalers.learn(changed)

    async def _reconcile(self, key: str, scaler: Object, status: Object) -> None:
        scale = await self._scale_of(scaler, status)
        if scale is None:
            return
        text = "the HPA controller was able to get the target's current scale"
        _set(scaler, "AbleToScale", "True", "SucceededGetScale", text)
        spec, current = scaler["spec"], scale["spec"].get("replicas", 0)
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        status["currentReplicas"] = scale.get("status", {}).get("replicas", 0)
        desired, why = current, ""
        if current == 0 and least != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            _set(scaler, "ScalingActive", "False", "ScalingDisabled", text)
            desired = 0
        elif current > most:
            desired, why = most, "Current number of replicas above Spec.MaxReplicas"
        elif current < least:
            desired, why = least, "Current number of replicas below Spec.MinReplicas"
        else:
            found = await self._wanted(scaler, scale, current)
            if found is None:
                return
            wanted, title = found
            why = f"{title} above target" if wanted > current else "All metrics below target"
            desired = self._normalized(key, scaler, current, wanted)
        status["desiredReplicas"] = desired
        if desired != current:
            await self._rescale(scaler, status, scale, desired, why)

    async def _scale_of(self, scaler: Object, status: Object) -> Object | None:
        """The target's Scale; None when there is none, which conditions and an event then say."""
        target = scaler["spec"]["scaleTargetRef"]
        resource = _TARGETS.get((target.get("apiVersion", ""), target["kind"]))
        status.setdefault("currentReplicas", 0)
        status.setdefault("desiredReplicas", 0)
        if resource is None:
            group = target.get("apiVersion", "").partition("/")[0]
            self._unscalable(scaler, f'no matches for kind "{target["kind"]}" in group "{group}"')
            return None
        try:
            path = resource.path(scaler["metadata"]["namespace"], target["name"], "scale")
            return await self.client.request("GET", path)
        except ApiError as error:
            if error.unreachable:
                raise
            self._unscalable(scaler, error.message)
            return None

    def _unscalable(self, scaler: Object, why: str) -> None:
        text = f"the HPA controller was unable to get the target's current scale: {why}"
        _set(scaler, "AbleToScale", "False", "FailedGetScale", text)
        self.recorder.record(scaler, "Warning", "FailedGetScale", why)

    async def _wanted(self, scaler: Object, scale: Object, current: int) -> tuple[int, str] | None:
        """The highest number that a metric asks for and that metric's name; None when no metric can be read."""
        metrics = scaler["spec"].get("metrics") or []
        best: tuple[int, str] | None = None
        failures: list[str] = []
        statuses: list[Object] = []
        for metric in metrics:
            try:
                target = _target(metric)
                proposal = await self._proposal(scaler, scale, target, current)
            except MetricError as error:
                reason, message = _blame(metric, str(error))
                failures.append(message)
                if len(failures) == 1:
                    text = f"the HPA was unable to compute the replica count: {error}"
                    _set(scaler, "ScalingActive", "False", reason, text)
                self.recorder.record(scaler, "Warning", reason, str(error))
                statuses.append({"type": ""})
                continue
            statuses.append(_current(target, proposal))
            if best is None or proposal.replicas > best[0]:
                best = proposal.replicas, target.title
        scaler["status"]["currentMetrics"] = statuses
        if failures and (best is None or best[0] < current):  # never scale down on half of the evidence
            text = f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: {failures[0]}"
            self.recorder.record(scaler, "Warning", "FailedComputeMetricsReplicas", text)
            return None
        if best is not None:
            text = f"the HPA was able to successfully calculate a replica count from {best[1]}"
            _set(scaler, "ScalingActive", "True", "ValidMetricFound", text)
        return best

    async def _proposal(self, scaler: Object, scale: Object, target: Target, current: int) -> Proposal:
        namespace = scaler["metadata"]["namespace"]
        name = f"{target.resource} utilization" if target.utilization is not None else target.resource
        selector = scale.get("status", {}).get("selector", "")
        prefix = f"failed to get {name}: "
        try:
            found = await self.client.list(_METRICS, namespace, label_selector=selector)
        except ApiError as error:
            if error.unreachable:
                raise
            known = {404: "the server could not find the requested resource (get pods.metrics.k8s.io)"}
            why = known.get(error.status, error.message)
            text = f"unable to fetch metrics from resource metrics API: {why}"
            raise MetricError(f"{prefix}unable to get metrics for resource {target.resource}: {text}") from None
        usage = usage_of(found["items"], target.resource)
        if not usage:
            text = "no metrics returned from resource metrics API"
            raise MetricError(f"{prefix}unable to get metrics for resource {target.resource}: {text}")
        pods = [pod for pod in self._pods.items(namespace) if _selected(selector, pod)]
        try:
            return propose(target, current, pods, usage, self._time_scale)
        except MetricError as error:
            raise MetricError(f"{prefix}{error}") from None

    def _normalized(self, key: str, scaler: Object, current: int, wanted: int) -> int:
        """Stabilized against what was recommended lately, and within bounds; conditions say which of it counted."""
        behavior = scaler["spec"].get("behavior") or {}
        down, up = behavior.get("scaleDown") or {}, behavior.get("scaleUp") or {}
        stable = self._recommended.setdefault(key, Recommendations()).stabilized(
            current,
            wanted,
            down_s=down.get("stabilizationWindowSeconds", _STABILIZATION_S) / self._time_scale,
            up_s=up.get("stabilizationWindowSeconds", 0) / self._time_scale,
            now_s=time.monotonic(),
        )
        if (stable < current and down.get("selectPolicy") == "Disabled") or (
            stable > current and up.get("selectPolicy") == "Disabled"
        ):
            stable = current
        if stable != wanted:
            word, which = ("Down", "higher") if stable > wanted else ("Up", "lower")
            extreme = "highest" if stable > wanted else "lowest"
            text = f"recent recommendations were {which} than current one, applying the {extreme} recent recommendation"
            _set(scaler, "AbleToScale", "True", f"Scale{word}Stabilized", text)
        else:
            _set(scaler, "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
        limits = bounded(current, stable, scaler["spec"].get("minReplicas", 1), scaler["spec"]["maxReplicas"])
        _set(scaler, "ScalingLimited", "True" if limits.limited else "False", limits.reason, limits.message)
        return limits.replicas

    async def _rescale(self, scaler: Object, status: Object, scale: Object, desired: int, why: str) -> None:
        target = scaler["spec"]["scaleTargetRef"]
        resource = _TARGETS[target["apiVersion"], target["kind"]]
        path = resource.path(scaler["metadata"]["namespace"], target["name"], "scale")
        try:
            await self.client.request("PUT", path, body=scale | {"spec": {"replicas": desired}})
        except ApiError as error:
            text = f"the HPA controller was unable to update the target scale: {error.message}"
            _set(scaler, "AbleToScale", "False", "FailedUpdateScale", text)
            status["desiredReplicas"] = scale["spec"].get("replicas", 0)
            text = f"New size: {desired}; reason: {why}; error: {error.message}"
            self.recorder.record(scaler, "Warning", "FailedRescale", text)
            return
        text = f"the HPA controller was able to update the target scale to {desired}"
        _set(scaler, "AbleToScale", "True", "SucceededRescale", text)
        self.recorder.record(scaler, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}")
        status["lastScaleTime"] = now()


def _target(metric: Object) -> Target:
    source = metric.get("resource") if metric.get("type") == "Resource" else None
    if source is None:
        raise MetricError(f'unknown metric source type "{metric.get("type", "")}"')
    aim = source["target"]
    if aim.get("averageUtilization") is not None:
        return Target(source["name"], utilization=aim["averageUtilization"])
    if aim.get("averageValue") is not None:
        return Target(source["name"], average=quantity(aim["averageValue"]))
    raise MetricError("invalid resource metric source: neither an average utilization nor an average value was set")


def _blame(metric: Object, error: str) -> tuple[str, str]:
    """The reason of condition and event, and how the summary over all metrics puts it."""
    if metric.get("type") != "Resource":
        return "InvalidMetricSourceType", error
    return "FailedGetResourceMetric", f"failed to get {metric['resource']['name']} resource metric value: {error}"


def _current(target: Target, proposal: Proposal) -> Object:
    amount = f"{round(proposal.average * 1000)}m" if target.resource == "cpu" else str(round(proposal.average))
    now_is: Object = {"averageValue": amount}
    if proposal.utilization is not None:
        now_is["averageUtilization"] = proposal.utilization
    return {"type": "Resource", "resource": {"name": target.resource, "current": now_is}}


def _selected(selector: str, pod: Object) -> bool:
    """Whether a Scale's selector text selects the pod; of expressions it knows equality only."""
    pairs = dict(part.split("=", 1) for part in selector.split(",") if "=" in part)
    return matches({"matchLabels": pairs}, labels_of(pod))


def _set(scaler: Object, kind: str, status: str, reason: str, message: str) -> None:
    """Put the condition; its time is that of the last change of its status."""
    known = condition(scaler, kind)
    since = known["lastTransitionTime"] if known and known["status"] == status else now()
    entry = {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
    conditions = scaler["status"].setdefault("conditions", [])
    for place, old in enumerate(conditions):
        if old["type"] == kind:
            conditions[place] = entry
            return
    conditions.append(entry)
