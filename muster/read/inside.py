"""What can only be seen from inside a pod: which modules it can import, and which certificates lie in its folder.

Commands are read-only, run in few pods, and only where the environment says that they may (``kubernetes.exec``).
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from muster.read.exec import Output, Target, run
from muster.read.failures import ReadError
from muster.read.kubernetes import access_of, source_of
from muster.read.session import each
from muster.snapshot import FailureKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muster.read.session import Session

Json = dict[str, Any]
Pods = list[Json]
DEADLINE_S = 5.0  # starting an interpreter in a busy container takes its time
MOST_BUILDS = 3
MOST_FOLDERS = 6
MOST_NAMES = 200

# Imports each module as the runbook's command does, and lets liboqs prove each algorithm: keys, encapsulation, back.
_IMPORTS = """
import importlib, json, sys
modules, algorithms = {}, {}
for name in sys.argv[1].split(","):
    try:
        importlib.import_module(name)
        modules[name] = ""
    except BaseException as error:
        modules[name] = f"{type(error).__name__}: {error}"
oqs = sys.modules.get("oqs")
for name in sys.argv[2].split(",") if oqs and sys.argv[2] else []:
    try:
        with oqs.KeyEncapsulation(name) as one, oqs.KeyEncapsulation(name) as other:
            sent, secret = other.encap_secret(one.generate_keypair())
            algorithms[name] = "" if one.decap_secret(sent) == secret else "the two sides got different secrets"
    except BaseException as error:
        algorithms[name] = f"{type(error).__name__}: {error}"
print(json.dumps({"modules": modules, "algorithms": algorithms}))
"""

# Names of all files, then the content of *.crt: never of keys, nor of .pem, which may hold one.
_CERTIFICATES = """
cd -- "$1" || exit 3
ls -1
for file in *.crt; do
  if [ -f "$file" ]; then printf '\\n== %s\\n' "$file"; head -c 65536 -- "$file" || exit 4; fi
done
"""
_NO_FOLDER = 3
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


async def read_modules(session: Session, pods: Pods) -> Json:
    """Pod -> ``{"modules", "algorithms"}``: name -> "" or why not. One pod of each build: what it holds, all hold."""
    facts = session.system.pqc
    if facts is None or not facts.modules:
        raise ReadError(FailureKind.UNDECLARED, "the system's facts name no module that a pod must be able to import")
    names = [*facts.modules, *([facts.documented_module] if facts.documented_module else [])]
    command = ["python3", "-c", _IMPORTS, ",".join(names), ",".join(facts.allowed_algorithms)]

    async def one(pod: str) -> Json:
        output = await _run(session, pod, command)
        try:
            found: Json = json.loads(output.stdout)
        except ValueError:
            last = (output.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            raise ReadError(FailureKind.UNPARSEABLE, f"python3 in {pod} ended with {output.code}: {last}") from None
        return found

    return await each({name: name for name in _one_of_each_build(session, pods)}, one, DEADLINE_S)


async def read_certificates(session: Session, pods: Pods) -> Json:
    """Pod -> ``{"folder", "missing", "files", "certificates", "broken"}`` of a few pods; the wire shows every pod's.

    ``missing`` is why there is no such folder, or ""; a certificate has file, subject, and ``from`` and ``until`` in
    seconds of the epoch; ``broken`` are files without one.
    """
    facts = session.system.certificates
    if facts is None:
        raise ReadError(FailureKind.UNDECLARED, "the system's facts do not say where certificates lie")
    folder = source_of(session).certificates or facts.folder

    async def one(pod: str) -> Json:
        output = await _run(session, pod, ["sh", "-c", _CERTIFICATES, "sh", folder])
        if output.code == _NO_FOLDER:
            return {"folder": folder, "missing": output.stderr.strip()[:200] or "no such folder", **parse_folder("")}
        if output.code != 0:
            raise ReadError(FailureKind.UNPARSEABLE, f"{folder} of {pod} cannot be read: {output.stderr.strip()[:200]}")
        return {"folder": folder, "missing": "", **parse_folder(output.stdout)}

    names = sorted(pod["name"] for pod in _running(session, pods))[:MOST_FOLDERS]
    return await each({name: name for name in names}, one, DEADLINE_S)


def parse_folder(text: str) -> Json:
    """Files, certificates and broken files of what the listing printed; keys are never printed."""
    from cryptography import x509

    listing, *parts = re.split(r"^== (?=[^\n]+\.crt$)", text, flags=re.MULTILINE)
    certificates, broken = [], []
    for part in parts:
        file, _, content = part.partition("\n")
        blocks = _BLOCK.findall(content)
        try:
            found = [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
        except ValueError:
            found = []
        if not found:
            broken.append(file)
        certificates += [
            {
                "file": file,
                "subject": one.subject.rfc4514_string(),
                "from": one.not_valid_before_utc.timestamp(),
                "until": one.not_valid_after_utc.timestamp(),
            }
            for one in found
        ]
    return {
        "files": [name for name in listing.split("\n") if name][:MOST_NAMES],
        "certificates": certificates,
        "broken": broken,
    }


async def _run(session: Session, pod: str, command: Sequence[str]) -> Output:
    access, source = await access_of(session), source_of(session)
    return await asyncio.to_thread(
        run, access, Target(source.namespace, pod, source.container), command, timeout_s=DEADLINE_S * 0.8
    )


def _running(session: Session, pods: Pods) -> Pods:
    """Pods whose container runs, without those that leave. Raises ReadError when there is none."""
    container = source_of(session).container
    running = [
        pod
        for pod in pods
        if not pod["terminating"]
        and any(entry["name"] == container and entry["running"] for entry in pod["containers"])
    ]
    if not running:
        raise ReadError(FailureKind.EMPTY, f"no pod runs its container {container}, so none can be looked into")
    return running


def _one_of_each_build(session: Session, pods: Pods) -> list[str]:
    container = source_of(session).container
    first: dict[str, str] = {}
    for pod in _running(session, pods):
        build = next(entry["image_id"] for entry in pod["containers"] if entry["name"] == container)
        first.setdefault(build, pod["name"])
    return sorted(first.values())[:MOST_BUILDS]
