"""A function that must not serve says so to whoever asks, and in its log."""

from __future__ import annotations

import httpx
import pytest

from tests.support.lambda_runtime import LambdaFront

from .serving import HANDLER, TREE

pytestmark = pytest.mark.real(seconds=3)


@pytest.mark.parametrize(
    ("env", "word"),
    [
        pytest.param({"GAPLESS_PUBLIC": "true"}, "UPSTASH_REDIS_REST_URL", id="no store"),
        pytest.param({"REDIS_URL": "redis://store.example"}, "GAPLESS_PUBLIC=true", id="open to the world"),
    ],
)
async def test_every_route_names_the_setting(env: dict[str, str], word: str) -> None:
    async with LambdaFront(HANDLER, cwd=TREE, env=env) as front, httpx.AsyncClient(base_url=front.url) as http:
        for path in ("/healthz", "/channels/c/stream"):
            reply = await http.get(path)
            assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
            assert word in reply.json()["detail"]
        assert word in front.stats.log and front.stats.cold_starts == 1
