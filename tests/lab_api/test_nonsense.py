"""Whatever a client sends, the answer is not a 500: generated bodies and patches against every kind."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.api.resources import TABLE
from lab.api.schema import field_of
from lab.api.server import Api
from lab.api.shapes import structs
from lab.api.store import Store

TOKEN = "t"  # noqa: S105 - of a server that lives for one test
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 70000), st.floats(allow_nan=False), st.sampled_from(["", "a", "b", "5%"])
)
JUNK = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
    st.sampled_from(["name", "a", "$patch", "spec", "metadata"]), inner, max_size=3)), max_leaves=6)  # fmt: skip


@st.composite
def of_type(draw, kind, depth=0):
    """Data of roughly a type of the table, with junk here and there."""
    if depth > 7 or draw(st.integers(0, 9)) == 0:
        return draw(JUNK)
    if kind.kind == "list":
        return [draw(of_type(kind.item, depth + 1)) for _ in range(draw(st.integers(0, 2)))]
    if kind.kind == "map":
        return {key: draw(of_type(kind.item, depth + 1)) for key in draw(st.sets(st.sampled_from("ab"), max_size=2))}
    if kind.kind != "struct":
        return draw(SCALARS)
    fields = sorted(structs()[kind.name].fields)
    chosen = draw(st.sets(st.sampled_from(fields), max_size=4)) if fields else set()
    chosen |= {name for name in ("spec", "template", "containers", "name", "selector") if field_of(kind, name)}
    return {name: draw(of_type(field_of(kind, name).type, depth + 1)) for name in sorted(chosen)}


PATCHES = ("strategic-merge-patch+json", "merge-patch+json", "json-patch+json", "apply-patch+yaml")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.plural}.{row.group or 'core'}")
def test_no_body_makes_a_500(row):
    """POST, PUT and every kind of PATCH with generated bodies end below 500, and lists still work afterwards."""
    loop = asyncio.new_event_loop()
    client = TestClient(TestServer(Api(Store(), TOKEN).app(), loop=loop), loop=loop)
    client.session.headers["Authorization"] = f"Bearer {TOKEN}"
    scope = "/namespaces/default" if row.namespaced else ""
    collection = f"{row.prefix}{scope}/{row.plural}"

    async def exchange(method, path, **sent):
        async with client.request(method, path, **sent) as answer:
            text = await answer.text()
            assert answer.status < 500, f"{method} {path} {sent}: {text}"
            return answer.status

    async def attempt(body, patch):
        named = {**body, "metadata": {"name": "a"}} if isinstance(body, dict) else body
        for sent in (body, named):
            await exchange("POST", collection, json=sent)
        await exchange("PUT", f"{collection}/a", json=named)
        for media in PATCHES:
            headers = {"Content-Type": f"application/{media}"}
            for sent in (patch, [{"op": "replace", "path": "/spec", "value": patch}]):
                await exchange("PATCH", f"{collection}/a?fieldManager=m", json=sent, headers=headers)
        tables = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        for headers in ({}, tables):
            assert await exchange("GET", collection, headers=headers) == (200 if "list" in row.verbs else 405)

    @settings(max_examples=12, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(body=of_type(row.type), patch=of_type(row.type))
    def drive(body, patch):
        loop.run_until_complete(attempt(body, patch))

    try:
        loop.run_until_complete(client.start_server())
        drive()
    finally:
        loop.run_until_complete(client.close())
        loop.close()
