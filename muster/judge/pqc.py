"""Post-quantum TLS: what a replica says, what its wire does, and whether the two agree. The wire outranks the word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.judge.claim import claim
from muster.judge.replicas import Body, Replicas
from muster.judge.undeclared import declared
from muster.system.model import Pqc


@dataclass(frozen=True)
class PqcStatus:
    """What ``/security/pqc/status`` says."""

    enabled: bool
    algorithm: str
    group: str
    fallback_enabled: bool


@dataclass(frozen=True)
class Tls:
    """What one handshake with the mesh port negotiated."""

    group: str
    version: str


def pqc_status(replica: str, raw: Mapping[str, Any]) -> PqcStatus:
    """The typed view of one replica's status."""
    body = Body(f"/security/pqc/status of {replica}", raw)
    return PqcStatus(
        body.get("enabled", bool),
        body.get("algorithm", str),
        body.get("group", str),
        body.get("fallback_enabled", bool),
    )


def assert_groups_are_allowed(mesh_tls: Replicas[Tls], facts: Pqc | None) -> None:
    """Every replica's mesh port negotiates a group that the runbook allows."""
    allowed = {group.lower() for group in declared(facts, "what post-quantum TLS must be").allowed_groups}
    for replica, tls in mesh_tls.items():
        ok = tls.group.lower() in allowed
        claim(ok, f"mesh TLS of {replica} negotiated {tls.group} (classical), not one of {_list(facts)}")


def assert_status_allows_no_fallback(pqc_status: Replicas[PqcStatus], facts: Pqc | None) -> None:
    """Every replica says that it is enabled, in an allowed group, and does not fall back."""
    expected = declared(facts, "what post-quantum TLS must be")
    allowed = {group.lower() for group in expected.allowed_groups}
    for replica, status in pqc_status.items():
        claim(status.enabled, f"{replica} says that post-quantum TLS is off")
        fallback = status.fallback_enabled and expected.fallback_forbidden
        claim(not fallback, f"{replica} says fallback_enabled=true, and fallback is forbidden")
        claim(status.group.lower() in allowed, f"{replica} says {status.group}, not {_list(facts)}")


def assert_word_and_wire_agree(pqc_status: Replicas[PqcStatus], mesh_tls: Replicas[Tls]) -> None:
    """What a replica says about its key exchange is what its wire does."""
    for replica, tls in mesh_tls.items():
        said = pqc_status[replica]
        agree = said.group.lower() == tls.group.lower()
        claim(
            agree,
            f"mesh TLS of {replica} negotiated {tls.group}; its status says {said.group},"
            f" fallback_enabled={str(said.fallback_enabled).lower()}",
        )


def _list(facts: Pqc | None) -> str:
    return ", ".join(facts.allowed_groups) if facts else ""
