"""What a look into the pods has shown: the modules they can import, and the certificates in their folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.replicas import Replicas
from muster.judge.undeclared import declared
from muster.system.expectations import Certificates as CertificateFacts
from muster.system.expectations import Pqc
from muster.system.units import duration
from muster.verdict import SLOWarning

_DAY_S = 86_400


@dataclass(frozen=True)
class Modules:
    """Module or algorithm -> why it cannot be used; "" where it can."""

    modules: Mapping[str, str]
    algorithms: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One certificate of a file, with the seconds of the epoch between which it is valid."""

    file: str
    subject: str
    from_: float
    until: float


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A pod's folder of certificates. ``missing`` is why there is none; ``broken`` are files that hold none."""

    folder: str
    missing: str
    files: tuple[str, ...]
    certificates: tuple[Certificate, ...]
    broken: tuple[str, ...]


def modules(raw: Mapping[str, Any]) -> Modules:
    """The typed view of one pod's entry in the reading ``modules``."""
    return Modules(modules=dict(raw["modules"]), algorithms=dict(raw["algorithms"]))


def folder(raw: Mapping[str, Any]) -> Folder:
    """The typed view of one pod's entry in the reading ``certificates``."""
    certificates = tuple(
        Certificate(file=one["file"], subject=one["subject"], from_=one["from"], until=one["until"])
        for one in raw["certificates"]
    )
    return Folder(
        folder=raw["folder"],
        missing=raw["missing"],
        files=tuple(raw["files"]),
        certificates=certificates,
        broken=tuple(raw["broken"]),
    )


def assert_modules_import(found: Replicas[Modules], facts: Pqc | None) -> None:
    """Every pod can import the modules that the facts name.

    Where the runbook's own command names another that cannot be imported, whoever follows it is misled: that warns.
    """
    expected = declared(facts, "which modules a pod must be able to import")
    names = expected.modules or declared(None, "which modules a pod must be able to import")
    for pod, entry in found.items():
        for name in names:
            if name not in entry.modules:
                raise Unknown(f"{pod} was not asked for the module {name}")
            claim(not entry.modules[name], f"{pod} cannot import {name}: {entry.modules[name]}")
        documented = expected.documented_module
        if documented and entry.modules.get(documented):
            message = f'the runbook\'s own "import {documented}" cannot work ({entry.modules[documented]})'
            warnings.warn(f"{message}, and {', '.join(names)} is there: correct the runbook", SLOWarning, stacklevel=2)


def assert_algorithms_work(found: Replicas[Modules], facts: Pqc | None) -> None:
    """In every pod a secret goes through key encapsulation and back, for every algorithm that the facts allow."""
    expected = declared(facts, "which post-quantum algorithms are allowed")
    names = expected.allowed_algorithms or declared(None, "which post-quantum algorithms are allowed")
    for pod, entry in found.items():
        for name in names:
            if name not in entry.algorithms:
                raise Unknown(f"{pod} could not try {name}: its oqs cannot be imported")
            claim(not entry.algorithms[name], f"{name} does not work in {pod}: {entry.algorithms[name]}")


def assert_certificates_are_there(found: Replicas[Folder], facts: CertificateFacts | None) -> None:
    """Every pod has its folder, and each ``.crt`` in it is a certificate."""
    declared(facts, "where certificates lie")
    for pod, entry in found.items():
        claim(not entry.missing, f"{pod} has no folder {entry.folder}: {entry.missing}")
        claim(not entry.broken, f"{pod}: {', '.join(entry.broken)} in {entry.folder} holds no certificate")
        listed = ", ".join(entry.files) or "nothing"
        claim(bool(entry.certificates), f"{pod}: there is no certificate in {entry.folder} ({listed} is there)")


def assert_certificates_are_in_date(found: Replicas[Folder], facts: CertificateFacts | None, *, now: float) -> None:
    """None has run out or is not valid yet, and none is about to: by the facts' days, which are never scaled."""
    limit = declared(facts, "how long before its end a certificate is replaced")
    for pod, entry in found.items():
        if not entry.certificates:
            raise Unknown(f"{pod} has no certificate that could be in date")
        for one in entry.certificates:
            left_s, label = one.until - now, f"{one.file} of {pod} ({one.subject})"
            claim(one.from_ <= now, f"{label} is not valid before {_days(one.from_ - now)} from now")
            claim(left_s > 0, f"{label} ran out {_days(-left_s)} ago")
            soon = f"{label} runs out in {_days(left_s)}; it is replaced {duration(limit.warn_before_s)} before"
            claim(left_s > limit.fail_before_s, soon)
            if left_s <= limit.warn_before_s:
                warnings.warn(soon, SLOWarning, stacklevel=2)


def _days(seconds: float) -> str:
    return f"{seconds / _DAY_S:.1f} days" if seconds >= _DAY_S else duration(max(1, round(seconds)))
