"""The service below a path: behind a proxy that takes it off (`root_path`), or mounted in another app."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from gapless.api.factory import create_app
from gapless.config.settings import Settings

ROOT = "/some/path"


@pytest.fixture(params=["root_path", "mounted"])
async def below(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """None of what these tests ask needs a store."""
    app: ASGIApp = create_app(Settings(redis_url="unix:///nowhere/at/all"))
    root = ROOT if request.param == "root_path" else ""
    host = app if root else Starlette(routes=[Mount(ROOT, app)])
    transport = httpx.ASGITransport(host, root_path=root, client=("127.0.0.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://localhost{ROOT}/") as client:
        yield client


async def test_pages_find_what_they_name(below: httpx.AsyncClient) -> None:
    for page in ("", "docs"):
        named = re.findall(r'(?:src|href)="([^"]+)"', (await below.get(page)).text)
        assert named
        for one in named:
            assert (await below.get(one)).status_code == 200, one


async def test_the_description_says_where_the_service_is(below: httpx.AsyncClient) -> None:
    assert (await below.get("openapi.json")).json()["servers"] == [{"url": ROOT}]


async def test_refusals_are_those_of_the_root(below: httpx.AsyncClient) -> None:
    for method, path, status, allow in (
        ("PUT", "channels", 405, "GET"),
        ("PUT", "channels/a/messages", 405, "GET, POST"),
        ("PUT", "static/page.js", 405, "GET, HEAD"),
        ("GET", "nowhere", 404, None),
        ("GET", "healthz/", 404, None),
        ("GET", "channels/-/messages", 422, None),
    ):
        reply = await below.request(method, path)
        assert (reply.status_code, reply.headers.get("allow")) == (status, allow), path
        assert "location" not in reply.headers
