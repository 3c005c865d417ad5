"""A pod's volumes and its service account, as folders of its own: there is no mount namespace to put them elsewhere.

A program finds the volume ``web-data`` in ``$LAB_VOLUME_WEB_DATA`` and its account in ``$SERVICEACCOUNT_ROOT``. Content
is that of the pod's start; it does not follow later changes. Mount paths, read-only mounts and subPath mean nothing.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from lab.agent.context import Context
from lab.agent.environment import ConfigError, PodFacts, field
from lab.errors import ApiError
from lab.resources import CONFIGMAPS, SECRETS, SERVICEACCOUNTS, Resource

Object = dict[str, Any]
_VALID_S = 365 * 24 * 3600  # a pod's token outlives any lab: nothing is left to renew
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]")


class MountError(Exception):
    """A volume refers to something that is not there; the text is the kubelet's."""


class Volumes:
    """Prepared once, by the first container that starts a process."""

    def __init__(self, context: Context, facts: PodFacts) -> None:
        self._context = context
        self._facts = facts
        self._lock = asyncio.Lock()
        self._done = False
        self._folder = context.pod_folder(facts.pod)

    def environment(self) -> dict[str, str]:
        """Where a program finds them."""
        names = [volume["name"] for volume in self._facts.pod["spec"].get("volumes") or []]
        found = {f"LAB_VOLUME_{_NOT_A_NAME.sub('_', name).upper()}": str(self._place(name)) for name in names}
        return found | {"SERVICEACCOUNT_ROOT": str(self._folder / "serviceaccount")}

    async def prepare(self) -> None:
        """Make and fill the folders. Raises :class:`MountError`, :class:`ApiError`."""
        async with self._lock:
            if self._done:
                return
            try:
                await self._account()
            except (ConfigError, OSError) as error:
                raise MountError(f'MountVolume.SetUp failed for volume "kube-api-access" : {error}') from None
            for volume in self._facts.pod["spec"].get("volumes") or []:
                try:
                    self._place(volume["name"]).mkdir(parents=True, exist_ok=True, mode=0o700)
                    await self._fill(volume)
                except (ConfigError, OSError) as error:
                    raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from None
            self._done = True

    def _place(self, name: str) -> Path:
        return self._folder / "volumes" / name

    async def _account(self) -> None:
        """What a kubelet mounts at /var/run/secrets/kubernetes.io/serviceaccount."""
        if self._facts.pod["spec"].get("automountServiceAccountToken") is False:
            return
        folder = self._folder / "serviceaccount"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder, "namespace", self._facts.pod["metadata"]["namespace"].encode())
        authority = self._context.state / "pki" / "ca.crt"
        if authority.is_file():
            shutil.copyfile(authority, folder / "ca.crt")
        _write(folder, "token", await self._token({"expirationSeconds": _VALID_S}))

    async def _token(self, wanted: Object) -> bytes:
        """A token of the pod's own account, which ends with the pod."""
        meta, spec = self._facts.pod["metadata"], self._facts.pod["spec"]
        account = spec.get("serviceAccountName") or "default"
        bound = {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}
        asked: Object = {"expirationSeconds": _VALID_S, "boundObjectRef": bound}
        asked |= {"audiences": [wanted["audience"]]} if wanted.get("audience") else {}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": asked}
        path = SERVICEACCOUNTS.path(meta["namespace"], account, "token")
        try:
            answer = await self._context.client.request("POST", path, body=body)
        except ApiError as error:
            if error.unreachable or error.status >= 500:
                raise
            raise ConfigError(f"failed to fetch token: {error.message}") from None
        return str(answer["status"]["token"]).encode()

    async def _fill(self, volume: Object) -> None:
        folder = self._place(volume["name"])
        if "projected" in volume:
            for source in volume["projected"].get("sources") or []:
                await self._project(folder, source)
        elif "secret" in volume:
            source = volume["secret"]
            await self._project(folder, {"secret": source | {"name": source.get("secretName")}})
        elif "configMap" in volume or "downwardAPI" in volume:
            await self._project(folder, volume)
        elif "emptyDir" not in volume:
            kinds = ", ".join(key for key in volume if key != "name") or "no source"
            raise ConfigError(f"{kinds} is not known here: only emptyDir, configMap, secret, projected and downwardAPI")

    async def _project(self, folder: Path, source: Object) -> None:
        for key, kind in (("configMap", CONFIGMAPS), ("secret", SECRETS)):
            if key in source:
                content = await self._content(kind, source[key])
                for path, data in _chosen(content, source[key]).items():
                    _write(folder, path, data)
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            _write(folder, token["path"], await self._token(token))
        for item in (source.get("downwardAPI") or {}).get("items") or []:
            if "fieldRef" not in item:
                raise ConfigError(f"item {item.get('path')}: only fieldRef is known here")
            _write(folder, item["path"], field(self._facts, item["fieldRef"]["fieldPath"]).encode())

    async def _content(self, kind: Resource, reference: Object) -> dict[str, bytes]:
        namespace, name = self._facts.pod["metadata"]["namespace"], reference.get("name") or ""
        try:
            found = await self._context.client.get(kind, namespace, name)
        except ApiError as error:
            if not error.not_found:
                raise
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{kind.kind.lower()} "{name}" not found') from None
        plain, encoded = found.get("data") or {}, found.get("binaryData") or {}
        if kind is SECRETS:
            plain, encoded = {}, plain
        content = {key: text.encode() for key, text in plain.items()}
        return content | {key: base64.b64decode(text) for key, text in encoded.items()}


def _chosen(content: dict[str, bytes], reference: Object) -> dict[str, bytes]:
    """All keys as files of their name, or those that are listed at the paths that are given."""
    items = reference.get("items")
    if not items:
        return content
    missing = [item["key"] for item in items if item["key"] not in content]
    if missing and not reference.get("optional"):
        raise ConfigError(f"references non-existent config key: {missing[0]}")
    return {item["path"]: content[item["key"]] for item in items if item["key"] in content}


def _write(folder: Path, path: str, data: bytes) -> None:
    """A file within the folder, replaced as a whole."""
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts or not place.parts:
        raise ConfigError(f"invalid path {path!r}: it must lie within the volume")
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.new")
    half.touch(mode=0o600)
    half.write_bytes(data)
    half.replace(target)
