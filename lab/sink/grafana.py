"""A stand-in for the part of Grafana's HTTP API that tells which dashboards there are; it draws nothing.

Below ``/grafana``: ``/api/health``, ``/api/search`` and ``/api/dashboards/uid/UID``, shaped as Grafana 10 answers them.
The dashboards are the JSON files of one folder, read anew for each answer, as Grafana's own file provisioning has them.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

VERSION = "10.4.2"  # whose shapes these are
_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Provisioned:
    """One dashboard and the file that it comes from; ``id`` is its place among all of them, from 1."""

    id: int
    file: Path
    model: dict[str, Any]

    @property
    def uid(self) -> str:
        """What links to it name."""
        return str(self.model["uid"])

    @property
    def title(self) -> str:
        """What people read."""
        return str(self.model["title"])

    @property
    def slug(self) -> str:
        """The title as part of an address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def url(self) -> str:
        """Its page."""
        return f"/d/{self.uid}/{self.slug}"


class Grafana:
    """Handlers on one folder of dashboards. Nobody has to log in, as with anonymous access to the real one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """The routes below ``prefix``; anything else there is 404 as Grafana says it."""
        return [
            web.get(f"{prefix}/api/health", self.health),
            web.get(f"{prefix}/api/search", self.search),
            web.get(f"{prefix}/api/dashboards/uid/{{uid}}", self.dashboard),
            web.get(f"{prefix}/{{rest:.*}}", self.nothing),
        ]

    async def health(self, request: web.Request) -> web.Response:
        """``{"commit", "database", "version"}``."""
        return web.json_response({"commit": "stand-in", "database": "ok", "version": VERSION})

    async def search(self, request: web.Request) -> web.Response:
        """Dashboards by ``query`` (in the title), ``tag``, ``type`` and ``limit``; there are no folders."""
        asked = request.query
        tags = set(asked.getall("tag", []))
        found = [
            _hit(board)
            for board in self._boards()
            if asked.get("query", "").lower() in board.title.lower() and tags <= set(board.model.get("tags", []))
        ]
        if asked.get("type", "dash-db") != "dash-db":
            found = []
        limit = asked.get("limit", "1000")
        return web.json_response(found[: int(limit)] if limit.isdigit() else found)

    async def dashboard(self, request: web.Request) -> web.Response:
        """``{"meta", "dashboard"}``, or 404."""
        uid = request.match_info["uid"]
        board = next((board for board in self._boards() if board.uid == uid), None)
        if board is None:
            return web.json_response({"message": "Dashboard not found", "traceID": ""}, status=404)
        return web.json_response({"meta": _meta(board), "dashboard": {**board.model, "id": board.id, "version": 1}})

    async def nothing(self, request: web.Request) -> web.Response:
        """What is not here is not found."""
        return web.json_response({"message": "Not found", "traceID": ""}, status=404)

    def _boards(self) -> list[Provisioned]:
        """What can be provisioned; a file that is no dashboard is left out, as Grafana does (it logs it)."""
        found: list[Provisioned] = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                model = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(model, dict) and model.get("uid") and model.get("title"):
                found.append(Provisioned(len(found) + 1, file, model))
        return found


def _hit(board: Provisioned) -> dict[str, Any]:
    return {
        "id": board.id,
        "uid": board.uid,
        "title": board.title,
        "uri": f"db/{board.slug}",
        "url": board.url,
        "slug": "",
        "type": "dash-db",
        "tags": board.model.get("tags", []),
        "isStarred": False,
        "sortMeta": 0,
    }


def _meta(board: Provisioned) -> dict[str, Any]:
    written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(board.file.stat().st_mtime))
    return {
        "type": "db",
        "canSave": False,
        "canEdit": False,
        "canAdmin": False,
        "canStar": False,
        "canDelete": False,
        "slug": board.slug,
        "url": board.url,
        "expires": _NEVER,
        "created": written,
        "updated": written,
        "updatedBy": "Anonymous",
        "createdBy": "Anonymous",
        "version": 1,
        "hasAcl": False,
        "isFolder": False,
        "folderId": 0,
        "folderUid": "",
        "folderTitle": "General",
        "folderUrl": "",
        "provisioned": True,
        "provisionedExternalId": board.file.name,
    }
