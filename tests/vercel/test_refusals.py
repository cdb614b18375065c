"""What is not set up says so: in the first reply, and in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.vercel import Bundle, VercelFunction

if TYPE_CHECKING:
    from tests.support.upstash import EmulatorProcess

pytestmark = pytest.mark.real(seconds=5)


async def first_reply(bundle: Bundle, env: dict[str, str], path: str) -> tuple[httpx.Response, str]:
    """The answer to the first request that a new deployment gets, and what it has logged by then."""
    async with VercelFunction(bundle, env=env) as fn, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        answer = await http.get(fn.url + path)
        assert "x-vercel-error" not in answer.headers
        return answer, fn.log


@pytest.mark.parametrize("path", ["/", "/readyz", "/channels/general/messages"])
async def test_without_a_store(bundle: Bundle, path: str) -> None:
    answer, log = await first_reply(bundle, {"GAPLESS_PUBLIC": "true"}, path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "UPSTASH_REDIS_REST_URL" in answer.json()["detail"]
    assert "UPSTASH_REDIS_REST_URL" in log


async def test_with_a_wrong_token(bundle: Bundle, env: dict[str, str]) -> None:
    answer, log = await first_reply(bundle, {**env, "KV_REST_API_TOKEN": "wrong"}, "/channels/general/messages")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "token" in answer.json()["detail"]
    assert "token" in log


async def test_open_to_everybody_by_mistake(bundle: Bundle, upstash: EmulatorProcess) -> None:
    env = {"KV_REST_API_URL": upstash.url, "KV_REST_API_TOKEN": upstash.token}
    answer, log = await first_reply(bundle, env, "/channels/general/messages")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "GAPLESS_PUBLIC" in answer.json()["detail"]
    assert "GAPLESS_PUBLIC" in log
