"""Post-quantum TLS: what a replica says, what its wire does, and whether the two agree. The wire outranks the word."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.replicas import Body, Replicas
from muster.judge.undeclared import Undeclared, declared
from muster.system.model import Certificates, Pqc
from muster.system.units import duration
from muster.verdict import SLOWarning

_POST_QUANTUM = ("mlkem", "kyber", "frodo", "bike", "hqc")  # in the names of groups; all others are classical


@dataclass(frozen=True)
class PqcStatus:
    """What ``/security/pqc/status`` says."""

    enabled: bool
    algorithm: str
    group: str
    fallback_enabled: bool


@dataclass(frozen=True)
class Tls:
    """What one handshake with the mesh port negotiated; ``not_after`` of its certificate, seconds since the epoch."""

    group: str
    version: str
    subject: str = ""
    not_after: float | None = None


@dataclass(frozen=True)
class Downgrade:
    """What became of a client that offered classical groups only."""

    refused: bool
    offered: Sequence[str]
    group: str = ""  # agreed upon, where it was not refused


def tls(raw: Mapping[str, Any]) -> Tls:
    """The typed view of one replica's handshake."""
    return Tls(raw["group"], raw["version"], raw.get("subject", ""), raw.get("not_after"))


def downgrade(raw: Mapping[str, Any]) -> Downgrade:
    """The typed view of one replica's answer to a classical client."""
    return Downgrade(raw["refused"], tuple(raw["offered"]), raw.get("group", ""))


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
        kind = "" if any(word in tls.group.lower() for word in _POST_QUANTUM) else " (classical)"
        claim(ok, f"mesh TLS of {replica} negotiated {tls.group}{kind}, not one of {_list(facts)}")


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


def assert_algorithm_is_allowed(pqc_status: Replicas[PqcStatus], facts: Pqc | None) -> None:
    """Every replica names an algorithm that the facts allow."""
    allowed = declared(facts, "what post-quantum TLS must be").allowed_algorithms
    declared(allowed or None, "which algorithms are allowed")
    for replica, status in pqc_status.items():
        ok = status.algorithm.lower() in {name.lower() for name in allowed}
        claim(ok, f"{replica} says that its algorithm is {status.algorithm or 'none'}, not {', '.join(allowed)}")


def assert_downgrade_is_refused(mesh_downgrade: Replicas[Downgrade], facts: Pqc | None) -> None:
    """Where fallback is forbidden no replica agrees with a client that offers classical groups only."""
    if not declared(facts, "what post-quantum TLS must be").fallback_forbidden:
        raise Undeclared("the system's facts allow a fallback to classical key exchange")
    for replica, found in mesh_downgrade.items():
        if not found.offered:
            raise Unknown(f"it is not known what {replica} was offered")
        offered = f"a client that offers {', '.join(found.offered)} only"
        claim(found.refused, f"the mesh port of {replica} agrees on {found.group} with {offered}")


def assert_no_fallback_is_hidden(pqc_status: Replicas[PqcStatus], mesh_downgrade: Replicas[Downgrade]) -> None:
    """A replica whose wire agrees with classical clients says so; one that says so, and refuses them, warns."""
    for replica, found in mesh_downgrade.items():
        said = pqc_status[replica].fallback_enabled
        hidden = not found.refused and not said
        claim(not hidden, f"{replica} says fallback_enabled=false; its mesh port agrees on {found.group}, classical")
        if found.refused and said:
            message = f"{replica} says fallback_enabled=true; its mesh port refuses classical clients"
            warnings.warn(message, SLOWarning, stacklevel=2)


def assert_certificates_last(mesh_tls: Replicas[Tls], facts: Certificates | None, *, now: float) -> None:
    """The certificate that each mesh port shows does not end soon; ``now`` in seconds since the epoch."""
    expected = declared(facts, "how long certificates must last")
    soon = []
    for replica, found in mesh_tls.items():
        if found.not_after is None:
            raise Unknown(f"the mesh port of {replica} shows no certificate")
        left = found.not_after - now
        which = f"the certificate that the mesh port of {replica} shows ({found.subject})"
        claim(left > 0, f"{which} ended {duration(round(-left))} ago")
        limit = duration(expected.fail_before_s)
        claim(left > expected.fail_before_s, f"{which} ends in {duration(round(left))}, under the {limit} of the facts")
        if left <= expected.warn_before_s:
            soon.append(f"{which} ends in {duration(round(left))}, under {duration(expected.warn_before_s)}")
    if soon:
        warnings.warn(soon[0], SLOWarning, stacklevel=2)


def _list(facts: Pqc | None) -> str:
    return ", ".join(facts.allowed_groups) if facts else ""
