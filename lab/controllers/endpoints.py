"""The endpoints controllers: which pods stand behind a Service, as Endpoints and as EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lab.client import Client
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError
from lab.informer import Informer
from lab.objects import (
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    now,
    owner_reference,
    pod_phase,
    pod_ready,
)
from lab.recorder import Recorder
from lab.resources import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES, Object

_PER_SLICE = 100
_SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_MANAGER = "endpointslice-controller.k8s.io"
_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
_Ports = tuple[tuple[str, int, str], ...]


class EndpointsController(Controller):
    """Writes both forms for every Service that has a selector."""

    name = "endpoint-controller"

    def __init__(self, client: Client, informers: Informers, recorder: Recorder) -> None:
        super().__init__(client, informers, recorder)
        self._services = self.on_change(SERVICES, lambda old, new: self.enqueue(key_of(new or old or {})))
        self._pods = self.on_change(PODS, self._pod_changed)
        self._endpoints = self.on_change(ENDPOINTS, self._endpoints_changed)
        self._slices = self.on_change(ENDPOINTSLICES, self._slice_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _relevant(old) == _relevant(new):
            return
        for pod in (old, new):
            if pod is not None:
                for service in self._services.items(pod["metadata"]["namespace"]):
                    if selects(service, pod):
                        self.enqueue(key_of(service))

    def _endpoints_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self.enqueue(key_of(old))

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        name = labels_of(old).get(_SERVICE_LABEL) if old is not None and new is None else None
        if name and old is not None:
            self.enqueue(f"{old['metadata']['namespace']}/{name}")

    async def sync(self, key: str) -> None:
        """Bring Endpoints and EndpointSlices of one Service in step with its pods."""
        service = self._services.by_key(key)
        namespace, name = key.split("/")
        if service is None:
            await _delete(self.client, self._endpoints, self._endpoints.by_key(key))
            for item in self._slices_of(namespace, name):
                await _delete(self.client, self._slices, item)
            return
        if not service["spec"].get("selector") or is_deleting(service):
            return
        pods = sorted(
            (pod for pod in self._pods.items(namespace) if selects(service, pod) and _addressable(pod)), key=key_of
        )
        await self._write_endpoints(service, pods)
        await self._write_slices(service, pods)

    async def _write_endpoints(self, service: Object, pods: list[Object]) -> None:
        known = self._endpoints.by_key(key_of(service))
        body = {"subsets": subsets(service, pods)} if pods else {}
        if not body.get("subsets"):
            body = {}
        if known is not None and (known.get("subsets") or []) == body.get("subsets", []):
            return
        meta = {
            "name": service["metadata"]["name"],
            "namespace": service["metadata"]["namespace"],
            "labels": labels_of(service) | {"endpoints.kubernetes.io/managed-by": self.name},
            "annotations": {_TRIGGER: now()},
        }
        fresh = {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, **body}
        await self._put(self._endpoints, known, fresh)

    async def _write_slices(self, service: Object, pods: list[Object]) -> None:
        wanted = slices(service, pods)
        meta = service["metadata"]
        spare = self._slices_of(meta["namespace"], meta["name"])
        missing = []
        for content in wanted:  # what is right already stays untouched
            same = next((item for item in spare if _slice_content(item) == content), None)
            if same is not None:
                spare.remove(same)
            else:
                missing.append(content)
        for content in missing:
            known = spare.pop(0) if spare else None
            slice_meta = {
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "labels": labels_of(service) | {_SERVICE_LABEL: meta["name"], _MANAGED_BY: _MANAGER},
                "annotations": {_TRIGGER: now()},
                "ownerReferences": [owner_reference(service)],
            }
            body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice_meta}
            await self._put(self._slices, known, body | {"addressType": "IPv4"} | content)
        for item in spare:
            await _delete(self.client, self._slices, item)

    async def _put(self, informer: Informer, known: Object | None, body: Object) -> None:
        if known is None:
            informer.learn(await self.client.create(informer.resource, body))
            return
        meta = known["metadata"]
        keep = {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion")}
        keep["annotations"] = annotations_of(known) | body["metadata"]["annotations"]
        informer.learn(await self.client.update(informer.resource, body | {"metadata": body["metadata"] | keep}))

    def _slices_of(self, namespace: str, service: str) -> list[Object]:
        mine = {_SERVICE_LABEL: service, _MANAGED_BY: _MANAGER}
        return sorted(
            (item for item in self._slices.items(namespace) if mine.items() <= labels_of(item).items()), key=key_of
        )


async def _delete(client: Client, informer: Informer, item: Object | None) -> None:
    if item is None:
        return
    meta = item["metadata"]
    try:
        await client.delete(informer.resource, meta["namespace"], meta["name"], uid=meta["uid"])
    except ApiError as error:
        if not error.not_found:
            raise


def selects(service: Object, pod: Object) -> bool:
    """Whether the service's selector, if it has one, matches the pod."""
    selector = service["spec"].get("selector")
    return bool(selector) and selector.items() <= labels_of(pod).items()


def _addressable(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("podIP")) and pod_phase(pod) not in ("Succeeded", "Failed")


def _relevant(pod: Object) -> tuple[Any, ...]:
    """What of a pod shows in endpoints; changes of anything else cost no look."""
    return labels_of(pod), pod.get("status", {}).get("podIP"), pod_phase(pod), pod_ready(pod), is_deleting(pod)


def ports_of(service: Object, pod: Object) -> _Ports:
    """The service's ports as this pod has them: ``(name, port, protocol)``; unknown port names are left out."""
    found = []
    for port in service["spec"].get("ports") or []:
        protocol = port.get("protocol", "TCP")
        target = port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else _named_port(pod, target, protocol)
        if number is not None:
            found.append((port.get("name", ""), number, protocol))
    return tuple(found)


def _named_port(pod: Object, name: str, protocol: str) -> int | None:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or []:
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _by_ports(service: Object, pods: Iterable[Object]) -> dict[_Ports, list[Object]]:
    groups: dict[_Ports, list[Object]] = {}
    for pod in pods:
        groups.setdefault(ports_of(service, pod), []).append(pod)
    return groups


def _target(pod: Object) -> Object:
    meta = pod["metadata"]
    return {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def _ports_body(ports: _Ports) -> list[Object]:
    return [({"name": name} if name else {}) | {"port": port, "protocol": protocol} for name, port, protocol in ports]


def subsets(service: Object, pods: list[Object]) -> list[Object]:
    """The subsets of Endpoints: ready pods under ``addresses``, the others under ``notReadyAddresses``."""
    tolerant = bool(service["spec"].get("publishNotReadyAddresses"))
    result = []
    for ports, group in sorted(_by_ports(service, pods).items()):
        places: dict[str, list[Object]] = {"addresses": [], "notReadyAddresses": []}
        for pod in group:
            if is_deleting(pod) and not tolerant:
                continue
            address = {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": _target(pod)}
            places["addresses" if pod_ready(pod) or tolerant else "notReadyAddresses"].append(address)
        filled: Object = {key: value for key, value in places.items() if value}
        if filled:
            result.append(filled | {"ports": _ports_body(ports)})
    return result


def slices(service: Object, pods: list[Object]) -> list[Object]:
    """The contents (``endpoints``, ``ports``) of the EndpointSlices; one empty slice when there are no pods."""
    tolerant = bool(service["spec"].get("publishNotReadyAddresses"))
    result: list[Object] = []
    for ports, group in sorted(_by_ports(service, pods).items()):
        endpoints = [_endpoint(pod, tolerant=tolerant) for pod in group]
        result.extend(
            {"endpoints": endpoints[start : start + _PER_SLICE], "ports": _ports_body(ports)}
            for start in range(0, len(endpoints), _PER_SLICE)
        )
    return result or [{"endpoints": None, "ports": None}]


def _endpoint(pod: Object, *, tolerant: bool) -> Object:
    ready, leaving = pod_ready(pod), is_deleting(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": tolerant or (ready and not leaving), "serving": ready, "terminating": leaving},
        "nodeName": pod["spec"].get("nodeName"),
        "targetRef": _target(pod),
    }


def _slice_content(item: Object) -> Object:
    """What of an EndpointSlice is ours; servers write an empty port name or none for the same thing."""
    ports = [{key: value for key, value in port.items() if value != ""} for port in item.get("ports") or []]
    return {"endpoints": item.get("endpoints") or None, "ports": ports or None}
