"""Rules and routes are taken from the lab's folder: what changes there, Prometheus and Alertmanager take up at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp

from lab.daemon import alertmanager, prometheus
from lab.daemon.folder import Folder

EVERY_S = 0.5
_REQUEST_S = 5.0


async def follow(folder: Folder, plan: dict[str, str]) -> None:
    """Look until cancelled. What a program refuses is said in the daemon's log; it then goes on with what it had."""
    seen = {name: _stamps(files) for name, files in _watched(folder).items()}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_S)) as session:
        while True:
            await asyncio.sleep(EVERY_S)
            for name, files in _watched(folder).items():
                now = _stamps(files)
                if now != seen[name]:
                    seen[name] = now
                    await _reload(session, name, plan[name])


def _watched(folder: Folder) -> dict[str, list[Path]]:
    rules = sorted((folder.config / "rules").glob("*.yml"))
    return {
        "prometheus": [prometheus.configuration_file(folder), *rules],
        "alertmanager": [alertmanager.configuration_file(folder)],
    }


def _stamps(files: list[Path]) -> list[tuple[str, int, int]]:
    found = []
    for path in files:
        try:
            status = path.stat()
        except FileNotFoundError:  # taken away between two looks
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return found


async def _reload(session: aiohttp.ClientSession, name: str, url: str) -> None:
    try:
        async with session.post(f"{url}/-/reload") as answer:
            if answer.status != 200:
                print(f"{name} refuses its new configuration: {(await answer.text()).strip()}", file=sys.stderr)
    except (aiohttp.ClientError, TimeoutError) as error:
        print(f"{name} could not be told of its new configuration: {error}", file=sys.stderr)
