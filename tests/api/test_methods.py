"""A method that a path does not take: 405, and every method that it does take, whichever route takes it."""

from __future__ import annotations

from collections import defaultdict

import pytest
from starlette.routing import Route

from gapless.api.factory import create_app
from gapless.config.settings import Settings
from tests.testkit.app_fixture import running_app
from tests.testkit.valkey import Valkey

METHODS: dict[str, set[str]] = defaultdict(set, {"/static/page.js": {"GET", "HEAD"}})
for route in create_app(Settings()).routes:
    if isinstance(route, Route):
        METHODS[route.path] |= route.methods or set()


@pytest.mark.parametrize("path", METHODS)
async def test_every_method_of_a_path_is_named(valkey: Valkey, path: str) -> None:
    async with running_app(valkey.url) as found:
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - METHODS[path]:
            reply = await found.client.request(method, path.format(channel="a"))
            assert reply.status_code == 405
            assert reply.headers["allow"] == ", ".join(sorted(METHODS[path]))
            assert reply.headers["content-type"] == "application/problem+json"
            if method != "HEAD":
                assert reply.headers["allow"] in reply.json()["detail"]


def test_there_is_a_path_with_routes_of_several_files() -> None:
    assert METHODS["/channels/{channel}/messages"] == {"GET", "POST"}
    assert METHODS["/channels/{channel}/stream"] == {"GET", "HEAD"}


async def test_a_path_that_is_none(valkey: Valkey) -> None:
    async with running_app(valkey.url) as found:
        for method in ("GET", "POST", "OPTIONS"):
            reply = await found.client.request(method, "/nowhere")
            assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
