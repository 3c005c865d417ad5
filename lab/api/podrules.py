"""The rules of a pod's spec, in a pod or in a template."""

from __future__ import annotations

from typing import Any

from lab.api.errors import Cause, Causes
from lab.api.quantities import parse_quantity
from lab.api.rules import check_name, check_non_negative, check_port, shown

Body = dict[str, Any]


def pod_spec(spec: Body, path: str, causes: Causes) -> None:
    """Containers, volumes and the few enumerations that people mistype."""
    volumes = _volumes(spec.get("volumes") or [], f"{path}.volumes", causes)
    containers = spec.get("containers") or []
    if not containers:
        causes.required(f"{path}.containers")
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            _container(container, f"{path}.{field}[{index}]", names, volumes, causes)
    if spec.get("restartPolicy") not in {"Always", "OnFailure", "Never", None}:
        causes.unsupported(f"{path}.restartPolicy", spec["restartPolicy"], ["Always", "OnFailure", "Never"])
    policies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]
    if spec.get("dnsPolicy") not in {*policies, None}:
        causes.unsupported(f"{path}.dnsPolicy", spec["dnsPolicy"], policies)
    check_non_negative(spec.get("terminationGracePeriodSeconds"), f"{path}.terminationGracePeriodSeconds", causes)


def _volumes(volumes: list[Body], path: str, causes: Causes) -> set[str]:
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        name = volume.get("name", "")
        if not name:
            causes.required(f"{path}[{index}].name")
            continue
        check_name(name, "label", f"{path}[{index}].name", causes)
        if name in names:
            causes.duplicate(f"{path}[{index}].name", shown(name))
        names.add(name)
    return names


def _container(container: Body, path: str, names: set[str], volumes: set[str], causes: Causes) -> None:
    name = container.get("name", "")
    if not name:
        causes.required(f"{path}.name")
    else:
        check_name(name, "label", f"{path}.name", causes)
        if name in names:
            causes.duplicate(f"{path}.name", shown(name))
    names.add(name)
    if not container.get("image"):
        causes.required(f"{path}.image")
    if container.get("imagePullPolicy") not in {"Always", "IfNotPresent", "Never", None}:
        policies = ["Always", "IfNotPresent", "Never"]
        causes.unsupported(f"{path}.imagePullPolicy", container["imagePullPolicy"], policies)
    _ports(container.get("ports") or [], f"{path}.ports", causes)
    _environment(container.get("env") or [], f"{path}.env", causes)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        _mount(mount, f"{path}.volumeMounts[{index}]", volumes, causes)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _probe(container[probe], f"{path}.{probe}", causes, once=probe != "readinessProbe")
    _resources(container.get("resources") or {}, f"{path}.resources", causes)


def _ports(ports: list[Body], path: str, causes: Causes) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        check_port(port.get("containerPort"), f"{path}[{index}].containerPort", causes)
        if port.get("protocol") not in {"TCP", "UDP", "SCTP", None}:
            causes.unsupported(f"{path}[{index}].protocol", port["protocol"], ["SCTP", "TCP", "UDP"])
        name = port.get("name", "")
        if name and name in names:
            causes.duplicate(f"{path}[{index}].name", shown(name))
        if len(name) > 15:
            causes.invalid(f"{path}[{index}].name", shown(name), "must be no more than 15 characters")
        names.add(name)


def _environment(variables: list[Body], path: str, causes: Causes) -> None:
    for index, variable in enumerate(variables):
        if not variable.get("name"):
            causes.required(f"{path}[{index}].name")
        source = variable.get("valueFrom")
        if source is not None:
            if variable.get("value"):
                causes.invalid(f"{path}[{index}].valueFrom", '""', "may not be specified when `value` is not empty")
            if len(source) != 1:
                why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                causes.invalid(f"{path}[{index}].valueFrom", '""', why)


def _mount(mount: Body, path: str, volumes: set[str], causes: Causes) -> None:
    if not mount.get("name"):
        causes.required(f"{path}.name")
    elif mount["name"] not in volumes:
        # Its reason is not one of the usual five.
        causes.items.append(Cause(f"{path}.name", "FieldValueNotFound", f"Not found: {shown(mount['name'])}"))
    if not mount.get("mountPath"):
        causes.required(f"{path}.mountPath")


def _probe(probe: Body, path: str, causes: Causes, *, once: bool) -> None:
    handlers = [name for name in ("exec", "httpGet", "tcpSocket", "grpc") if name in probe]
    if not handlers:
        causes.required(path, "must specify a handler type")
    for extra in handlers[1:]:
        causes.forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        check_non_negative(probe.get(field), f"{path}.{field}", causes)
    if once and probe.get("successThreshold", 1) != 1:
        causes.invalid(f"{path}.successThreshold", str(probe["successThreshold"]), "must be 1")
    target = probe.get("httpGet") or probe.get("tcpSocket")
    if target is not None:
        port = target.get("port")
        if port is None:
            causes.required(f"{path}.{handlers[0]}.port")
        elif isinstance(port, int):
            check_port(port, f"{path}.{handlers[0]}.port", causes)


def _resources(resources: Body, path: str, causes: Causes) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            amount = parse_quantity(text)
            if amount is not None and amount < 0:
                causes.invalid(f"{path}.{field}[{name}]", shown(text), "must be greater than or equal to 0")
    for name, text in requests.items():
        wanted, limit = parse_quantity(text), parse_quantity(limits[name]) if name in limits else None
        if wanted is not None and limit is not None and wanted > limit:
            causes.invalid(
                f"{path}.requests", shown(text), f"must be less than or equal to {name} limit of {limits[name]}"
            )
