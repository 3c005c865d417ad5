"""Addresses and node ports of Services. Nothing listens on them in the lab: they are there to be shown."""

from __future__ import annotations

from itertools import count
from typing import Any

_FIRST_NODE_PORT = 30000


def allocate(body: dict[str, Any], others: list[dict[str, Any]]) -> None:
    """Give a new Service the cluster address and node ports that it needs, in place."""
    spec = body["spec"]
    if spec.get("type") == "ExternalName":
        return
    specs = [one.get("spec") or {} for one in others]
    if not spec.get("clusterIP"):
        taken = {one.get("clusterIP") for one in specs}
        spec["clusterIP"] = next(ip for n in count(1) if (ip := f"10.96.{n // 250}.{n % 250 + 1}") not in taken)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        used = {port.get("nodePort") for one in specs for port in one.get("ports") or ()}
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port["nodePort"] = next(n for n in count(_FIRST_NODE_PORT) if n not in used)
                used.add(port["nodePort"])
