"""The rules that a body must keep after defaulting; each broken rule is a cause with its field path."""

from __future__ import annotations

import re
from typing import Any

from lab.api.errors import Causes
from lab.api.podrules import pod_spec
from lab.api.rules import check_labels, check_non_negative, check_port, shown
from lab.api.selectors import labels_match, lookup

Body = dict[str, Any]


def nothing(new: Body, old: Body | None, causes: Causes) -> None:
    """For kinds without rules of their own."""


def _selector(new: Body, causes: Causes) -> None:
    """The selector is there, selects the template, and never changes."""
    selector = lookup(new, "spec.selector")
    labels = lookup(new, "spec.template.metadata.labels")
    empty = not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))
    if selector is None:
        causes.required("spec.selector")
    elif empty:
        causes.invalid("spec.selector", "{}", "empty selector is invalid for deployment")
    if empty or not labels_match(selector, labels or {}):
        causes.invalid(
            "spec.template.metadata.labels",
            shown(labels) if labels else "null",
            "`selector` does not match template `labels`",
        )


def _template(new: Body, causes: Causes) -> None:
    check_labels(lookup(new, "spec.template.metadata.labels"), "spec.template.metadata.labels", causes)
    spec = lookup(new, "spec.template.spec") or {}
    pod_spec(spec, "spec.template.spec", causes)
    if spec.get("restartPolicy") not in {None, "Always"}:
        causes.unsupported("spec.template.spec.restartPolicy", spec["restartPolicy"], ["Always"])


def _immutable_selector(new: Body, old: Body | None, causes: Causes) -> None:
    if old is not None and lookup(new, "spec.selector") != lookup(old, "spec.selector"):
        causes.invalid("spec.selector", shown(lookup(new, "spec.selector")), "field is immutable")


_PERCENT = re.compile(r"^[0-9]+%$")


def _surge(new: Body, causes: Causes) -> None:
    strategy = lookup(new, "spec.strategy") or {}
    where = "spec.strategy"
    if strategy.get("type") not in {"RollingUpdate", "Recreate"}:
        causes.unsupported(f"{where}.type", str(strategy.get("type")), ["Recreate", "RollingUpdate"])
        return
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate":
        if rolling is not None:
            causes.forbidden(f"{where}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
        return
    amounts = []
    for name in ("maxUnavailable", "maxSurge"):
        value = (rolling or {}).get(name)
        if isinstance(value, str) and not _PERCENT.match(value):
            causes.invalid(
                f"{where}.rollingUpdate.{name}",
                shown(value),
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%',"
                " regex used for validation is '[0-9]+%')",
            )
        elif isinstance(value, int):
            check_non_negative(value, f"{where}.rollingUpdate.{name}", causes)
        amounts.append(int(value.rstrip("%")) if isinstance(value, str) and _PERCENT.match(value) else value)
    if amounts == [0, 0]:
        causes.invalid(f"{where}.rollingUpdate.maxUnavailable", "0", "may not be 0 when `maxSurge` is 0")


def deployment(new: Body, old: Body | None, causes: Causes) -> None:
    """A Deployment."""
    spec = new.get("spec") or {}
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        check_non_negative(spec.get(name), f"spec.{name}", causes)
    _selector(new, causes)
    _template(new, causes)
    _surge(new, causes)
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline >= 0 and deadline <= ready:
        causes.invalid("spec.progressDeadlineSeconds", str(deadline), "must be greater than minReadySeconds")
    _immutable_selector(new, old, causes)


def replicaset(new: Body, old: Body | None, causes: Causes) -> None:
    """A ReplicaSet."""
    spec = new.get("spec") or {}
    for name in ("replicas", "minReadySeconds"):
        check_non_negative(spec.get(name), f"spec.{name}", causes)
    _selector(new, causes)
    _template(new, causes)
    _immutable_selector(new, old, causes)


_POD_CHANGES = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _frozen(spec: Body) -> Body:
    """What of a pod's spec may not change."""
    kept = {key: value for key, value in spec.items() if key not in {"tolerations", "activeDeadlineSeconds"}}
    for name in ("containers", "initContainers"):
        if name in kept:
            kept[name] = [{**one, "image": ""} for one in kept[name]]
    return kept


def pod(new: Body, old: Body | None, causes: Causes) -> None:
    """A pod: its spec is fixed once it is created, but for images and tolerations."""
    spec = new.get("spec") or {}
    pod_spec(spec, "spec", causes)
    if old is None:
        return
    before = old.get("spec") or {}
    if _frozen(spec) != _frozen(before):
        causes.forbidden("spec", _POD_CHANGES)
    lost = [one for one in before.get("tolerations") or () if one not in (spec.get("tolerations") or ())]
    if lost:
        causes.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")


def service(new: Body, old: Body | None, causes: Causes) -> None:
    """A Service."""
    spec = new.get("spec") or {}
    kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    if spec.get("type") not in kinds:
        causes.unsupported("spec.type", str(spec.get("type")), kinds)
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        causes.required("spec.ports")
    names, numbers = set(), set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        check_port(port.get("port"), f"{where}.port", causes)
        name = port.get("name", "")
        if not name and len(ports) > 1:
            causes.required(f"{where}.name")
        elif name in names:
            causes.duplicate(f"{where}.name", shown(name))
        names.add(name)
        pair = (port.get("port"), port.get("protocol"))
        if pair in numbers:
            causes.duplicate(where, shown({"port": pair[0], "protocol": pair[1]}))
        numbers.add(pair)
        if isinstance(port.get("targetPort"), int):
            check_port(port["targetPort"], f"{where}.targetPort", causes)
    address = lookup(old or {}, "spec.clusterIP")
    if address and spec.get("clusterIP") != address and spec.get("type") != "ExternalName":
        causes.invalid("spec.clusterIPs[0]", shown([spec.get("clusterIP")]), "may not change once set")


def ingress(new: Body, _old: Body | None, causes: Causes) -> None:
    """An Ingress."""
    spec = new.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        causes.invalid("spec", "{}", "either `defaultBackend` or `rules` must be specified")
    for index, rule in enumerate(spec.get("rules") or ()):
        paths = lookup(rule, "http.paths")
        if "http" in rule and not paths:
            causes.required(f"spec.rules[{index}].http.paths")
        for at, one in enumerate(paths or ()):
            where = f"spec.rules[{index}].http.paths[{at}]"
            kinds = ["Exact", "ImplementationSpecific", "Prefix"]
            if not one.get("pathType"):
                causes.required(f"{where}.pathType", "pathType must be specified")
            elif one["pathType"] not in kinds:
                causes.unsupported(f"{where}.pathType", one["pathType"], kinds)
            elif one["pathType"] != "ImplementationSpecific" and not str(one.get("path", "")).startswith("/"):
                causes.invalid(f"{where}.path", shown(one.get("path", "")), "must be an absolute path")
            backend = lookup(one, "backend.service")
            if backend is None and lookup(one, "backend.resource") is None:
                causes.required(f"{where}.backend", "must specify a service or resource backend")
            elif backend is not None:
                _backend(backend, f"{where}.backend.service", causes)


def _backend(backend: Body, where: str, causes: Causes) -> None:
    if not backend.get("name"):
        causes.required(f"{where}.name")
    port = backend.get("port") or {}
    if not port.get("name") and not port.get("number"):
        causes.required(where, "port name or number is required")


def event(new: Body, _old: Body | None, causes: Causes) -> None:
    """An Event lives in the namespace of what it is about."""
    about = lookup(new, "involvedObject.namespace") or "default"
    if new["metadata"].get("namespace") != about:
        causes.invalid("involvedObject.namespace", shown(about), "does not match event.namespace")


_CONFIG_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")


def keyed(new: Body, old: Body | None, causes: Causes) -> None:
    """A ConfigMap or Secret: names of entries, and no change once it is immutable."""
    for field in ("data", "binaryData"):
        for key in new.get(field) or ():
            if not _CONFIG_KEY.match(key):
                causes.invalid(
                    f"{field}[{key}]",
                    shown(key),
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
                    "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                )
    if old is not None and old.get("immutable"):
        for field in ("data", "binaryData"):
            if new.get(field) != old.get(field):
                causes.forbidden(field, "field is immutable when `immutable` is set")


def lease(new: Body, _old: Body | None, causes: Causes) -> None:
    """A Lease."""
    duration = lookup(new, "spec.leaseDurationSeconds")
    if duration is not None and duration <= 0:
        causes.invalid("spec.leaseDurationSeconds", str(duration), "must be greater than 0")


def endpointslice(new: Body, old: Body | None, causes: Causes) -> None:
    """An EndpointSlice."""
    kinds = ["FQDN", "IPv4", "IPv6"]
    if not new.get("addressType"):
        causes.required("addressType")
    elif new["addressType"] not in kinds:
        causes.unsupported("addressType", new["addressType"], kinds)
    if old is not None and new.get("addressType") != old.get("addressType"):
        causes.invalid("addressType", shown(new.get("addressType")), "field is immutable")
