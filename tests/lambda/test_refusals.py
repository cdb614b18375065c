"""A function that must not serve says so to whoever asks, and in its log."""

from __future__ import annotations

import httpx
import pytest

from tests.testkit.lambda_runtime import LambdaFront

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
    """A stream does so in a comment: a status would stop every open EventSource for ever."""
    async with (
        LambdaFront(HANDLER, cwd=TREE, env=env) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
    ):
        reply, stream = await http.get("/healthz"), await http.get("/channels/c/stream")
        assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
        assert word in reply.json()["detail"]
        assert stream.status_code == 200 and stream.headers["content-type"].startswith("text/event-stream")
        assert word in stream.text and "event: end" in stream.text and "\nid:" not in stream.text
        assert word in front.stats.log and front.stats.cold_starts == 1
