"""What is not set up says so: in the first reply, and in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.vercel import Bundle, VercelFunction

if TYPE_CHECKING:
    from tests.testkit.upstash import EmulatorProcess

pytestmark = pytest.mark.real(seconds=5)


MESSAGES = "/channels/general/messages"


async def first_replies(bundle: Bundle, env: dict[str, str], *paths: str) -> tuple[list[httpx.Response], str]:
    """The answers to the first requests that a new deployment gets, and what it has logged by then."""
    async with VercelFunction(bundle, env=env) as fn, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        answers = [await http.get(fn.url + path) for path in paths]
        assert not [answer for answer in answers if "x-vercel-error" in answer.headers]
        return answers, fn.log


def assert_says(answer: httpx.Response, words: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert words in answer.json()["detail"]


async def test_without_a_store(bundle: Bundle) -> None:
    paths = ("/", "/readyz", MESSAGES, "/channels/general/stream")
    (*answers, stream), log = await first_replies(bundle, {"GAPLESS_PUBLIC": "true"}, *paths)
    for answer in answers:
        assert_says(answer, "UPSTASH_REDIS_REST_URL")
    # Whoever was reading when such a deployment was made comes back by itself when the next one is.
    assert stream.status_code == 200
    assert stream.text.startswith(": ") and "UPSTASH_REDIS_REST_URL" in stream.text
    assert stream.text.endswith('event: end\ndata: {"reason":"unavailable"}\n\n')
    assert "UPSTASH_REDIS_REST_URL" in log


async def test_with_a_wrong_token(bundle: Bundle, env: dict[str, str]) -> None:
    (answer,), log = await first_replies(bundle, {**env, "KV_REST_API_TOKEN": "wrong"}, MESSAGES)
    assert_says(answer, "token")
    assert "token" in log


async def test_open_to_everybody_by_mistake(bundle: Bundle, upstash: EmulatorProcess) -> None:
    env = {"KV_REST_API_URL": upstash.url, "KV_REST_API_TOKEN": upstash.token}
    (answer,), log = await first_replies(bundle, env, MESSAGES)
    assert_says(answer, "GAPLESS_PUBLIC=true")
    assert "GAPLESS_PUBLIC=true" in log
