"""The mesh as its replicas see it: enough peers, all alive, in one part, and everybody sees everybody."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.graph import Graph
from muster.judge.replicas import Body, Replicas
from muster.judge.undeclared import declared
from muster.system.model import Mesh
from muster.system.units import duration
from muster.verdict import SLOWarning


@dataclass(frozen=True)
class Peer:
    """One peer as another replica sees it; ``last_seen_s`` is an age, None before the first answer."""

    name: str
    alive: bool
    last_seen_s: float | None
    group: str


@dataclass(frozen=True)
class MeshView:
    """What one replica sees: itself and its peers."""

    name: str
    peers: tuple[Peer, ...]

    @property
    def alive(self) -> frozenset[str]:
        """The peers that answer."""
        return frozenset(peer.name for peer in self.peers if peer.alive)


@dataclass(frozen=True)
class MeshStatus:
    """What ``/mesh/status`` says."""

    status: str
    peers: int
    expected: int


def mesh_view(replica: str, raw: Mapping[str, Any]) -> MeshView:
    """The typed view of one replica's ``/mesh/peers``."""
    where = f"/mesh/peers of {replica}"
    body = Body(where, raw)
    peers = body.get("peers", list)
    if not all(isinstance(peer, dict) for peer in peers):
        raise Unknown(f"{where} lists peers that are not objects")
    return MeshView(body.get("self", str), tuple(_peer(Body(where, peer)) for peer in peers))


def _peer(body: Body) -> Peer:
    last_seen = body.raw.get("last_seen_s")
    return Peer(body.get("name", str), body.get("alive", bool), last_seen, str(body.raw.get("group", "")))


def mesh_status(replica: str, raw: Mapping[str, Any]) -> MeshStatus:
    """The typed view of one replica's ``/mesh/status``."""
    body = Body(f"/mesh/status of {replica}", raw)
    return MeshStatus(body.get("status", str), body.get("peers", int), body.get("expected", int))


def assert_enough_peers(mesh_peers: Replicas[MeshView], facts: Mesh | None) -> None:
    """Every replica has at least as many live peers as the runbook asks for."""
    least = declared(facts, "how many mesh peers a replica needs").least_peers
    for replica, view in mesh_peers.items():
        enough = len(view.alive) >= least
        dead = ", ".join(sorted(peer.name for peer in view.peers if not peer.alive))
        silent = f"; silent: {dead}" if dead else ""
        claim(enough, f"{replica} has {len(view.alive)} live mesh peers of at least {least}{silent}")


def assert_every_peer_is_alive(mesh_peers: Replicas[MeshView], facts: Mesh | None) -> None:
    """Nobody lists a peer that is silent, and "alive" means that it answered within the time of the facts."""
    within_s = declared(facts, "how many mesh peers a replica needs").seen_within_s
    for replica, view in mesh_peers.items():
        for peer in view.peers:
            if peer.alive and peer.last_seen_s is not None and (within_s is None or peer.last_seen_s <= within_s):
                continue
            last = "never answered" if peer.last_seen_s is None else f"last answered {_ago(peer.last_seen_s)}"
            claim(peer.alive, f"{replica} lists {peer.name}, which is not alive: it {last}")
            claim(peer.last_seen_s is not None, f"{replica} says that {peer.name} is alive, and that it never answered")
            limit = "" if within_s is None else f" (limit {duration(within_s)})"
            claim(False, f"{replica} says that {peer.name} is alive, and that it {last}{limit}")


def assert_no_partition(mesh_peers: Replicas[MeshView]) -> None:
    """The graph of who sees whom, over every replica's own view, is in one part; links of one direction are named.

    A replica whose view could not be read may still hold the parts together: then what is split stays UNKNOWN.
    """
    views, unread = {}, {}
    for replica in mesh_peers:
        try:
            views[replica] = mesh_peers[replica].alive
        except Unknown as reason:
            unread[replica] = reason
    graph = Graph(views, frozenset(unread))
    one_way = ", ".join(f"{one} sees {other}, which does not see it" for one, other in graph.one_way[:3])
    named = f"; one way only: {one_way}" if one_way else ""
    parts = graph.parts
    shown = " | ".join(", ".join(part[:5]) + (f" and {len(part) - 5} more" if len(part) > 5 else "") for part in parts)
    claim(len(parts) < 2, f"the mesh is partitioned into {len(parts)} parts: {shown}{named}")
    if unread:
        raise next(iter(unread.values()))
    if one_way:
        warnings.warn(f"the mesh is whole, but {one_way}", SLOWarning, stacklevel=2)


def _ago(seconds: float) -> str:
    return f"{duration(round(seconds, 1))} ago"


def assert_views_agree(mesh_peers: Replicas[MeshView]) -> None:
    """Everybody sees everybody: a pair in which one does not see the other is a partition, whatever the counts say."""
    everybody = frozenset(mesh_peers)
    for replica, view in mesh_peers.items():
        others = everybody - {replica}
        unseen, strangers = sorted(others - view.alive), sorted(view.alive - others)
        claim(not unseen, f"{replica} does not see {', '.join(unseen)}: the mesh is partitioned")
        claim(not strangers, f"{replica} sees {', '.join(strangers)}, which is no replica of this system")


def assert_connected(mesh_status: Replicas[MeshStatus]) -> None:
    """Every replica says that it is connected to all the peers it expects."""
    for replica, mesh in mesh_status.items():
        whole = mesh.status == "connected"
        claim(whole, f"{replica} says its mesh is {mesh.status}: {mesh.peers} of {mesh.expected} peers")
