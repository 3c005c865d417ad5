"""The nodes under the workload, and how the replicas are spread over them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.pods import Pod, staying
from muster.judge.undeclared import Undeclared
from muster.verdict import SLOWarning

TROUBLES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that carries a pod of the workload; ``conditions`` maps a type to (status, reason)."""

    name: str
    exists: bool
    cordoned: bool
    conditions: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Those nodes, and how many the cluster has in all."""

    total: int
    carrying: tuple[Node, ...]


def nodes(raw: Mapping[str, Any]) -> Nodes:
    """The typed view of the reading ``nodes``."""
    return Nodes(total=raw["total"], carrying=tuple(map(_node, raw["nodes"])))


def _node(raw: Mapping[str, Any]) -> Node:
    conditions = {kind: (entry[0], entry[1]) for kind, entry in raw["conditions"].items()}
    return Node(name=raw["name"], exists=raw["exists"], cordoned=raw["cordoned"], conditions=conditions)


def assert_nodes_are_well(nodes: Nodes) -> None:
    """Every node that carries a replica is ready and under no pressure."""
    for node in _some(nodes):
        claim(node.exists, f"node {node.name} does not exist any longer, and pods are still bound to it")
        if "Ready" not in node.conditions:
            raise Unknown(f"node {node.name} does not say whether it is ready")
        status, reason = node.conditions["Ready"]
        claim(status == "True", f"node {node.name} is not ready: {reason or status}")
        for trouble in TROUBLES:
            status, reason = node.conditions.get(trouble, ("False", ""))
            claim(status != "True", f"node {node.name} has {trouble}: {reason}")


def assert_no_node_is_cordoned(nodes: Nodes) -> None:
    """No replica sits on a node that is being emptied; if all do, no replica that ends comes back there: that fails."""
    carrying = _some(nodes)
    cordoned = [node.name for node in carrying if node.cordoned]
    if len(cordoned) == len(carrying) == nodes.total:
        claim(False, f"every node is cordoned ({', '.join(cordoned)}): a replica that ends cannot come back")
    if cordoned:
        message = f"replicas run on nodes that are cordoned and may be drained: {', '.join(cordoned)}"
        warnings.warn(message, SLOWarning, stacklevel=2)


def assert_replicas_are_spread(pods: tuple[Pod, ...], nodes: Nodes) -> None:
    """The replicas do not all stand on one node, where the cluster has several: one node's end would be everybody's."""
    if nodes.total < 2:
        raise Undeclared(f"the cluster has {nodes.total} node: there is nothing to spread replicas over")
    kept = list(staying(pods))
    unplaced = [pod.name for pod in kept if not pod.node]
    where = {pod.node for pod in kept if pod.node}
    alone = next(iter(where), "")
    together = len(kept) > 1 and len(where) == 1 and not unplaced
    claim(not together, f"all {len(kept)} replicas run on node {alone}, and the cluster has {nodes.total} nodes")
    if unplaced:
        raise Unknown(f"{unplaced[0]} is on no node yet")


def _some(nodes: Nodes) -> tuple[Node, ...]:
    if not nodes.carrying:
        raise Unknown("no pod of the workload is on a node yet")
    return nodes.carrying
