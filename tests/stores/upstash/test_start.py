"""What can never work with Upstash is said before the first request, on a platform by the app itself."""

from __future__ import annotations

import httpx
import pytest

from gapless.api.factory import serve_or_explain
from gapless.log.errors import StartupRefused
from gapless.platforms.policy import SERVER, VERCEL
from gapless.stores.upstash.start import LARGEST_BODY, check

GOOD = {
    "UPSTASH_REDIS_REST_URL": "https://name-12345.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "GAPLESS_PUBLIC": "true",
}
WRONG = {
    "a URL for TCP": ({"UPSTASH_REDIS_REST_URL": "rediss://name.upstash.io:6379"}, "UPSTASH_REDIS_REST_URL"),
    "a torn token": ({"UPSTASH_REDIS_REST_TOKEN": "to ken"}, "UPSTASH_REDIS_REST_TOKEN"),
    "messages too large to be read": ({"GAPLESS_MAX_BODY": str(LARGEST_BODY + 1)}, "GAPLESS_MAX_BODY"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_on_a_platform_every_request_is_told(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, word = WRONG[wrong]
    for name, value in (GOOD | settings).items():
        monkeypatch.setenv(name, value)
    app = serve_or_explain(VERCEL)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        reply = await client.get("/channels/general/messages")
    assert reply.status_code == 503
    assert word in reply.json()["detail"]


@pytest.mark.parametrize("wrong", WRONG)
def test_elsewhere_the_process_ends_with_the_same_words(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, word = WRONG[wrong]
    for name, value in (GOOD | settings).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=word):
        serve_or_explain(SERVER)


def test_what_can_work_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (GOOD | {"GAPLESS_MAX_BODY": str(LARGEST_BODY)}).items():
        monkeypatch.setenv(name, value)
    assert serve_or_explain(VERCEL) is not None
    assert serve_or_explain(SERVER) is not None


AWKWARD = """
https: https://:443 https://@ https://a@b@c //a https://a: https://a:0 https://a:99999 https://1.2.3 https://1.2.3.400
https://[::g] https://[::1 https://[v1.a] https://xn-- https://a_b https://n\u00e4me.io https://a/\u00e4 https://%41 https://a%b
https://a..b https://- https://a\\b https://a/\x7f https://127.0.0.1:80/x https://[::1]:80 https://u:p@a/x?y#z
"""


def test_what_the_start_lets_through_the_http_client_can_read() -> None:
    passed = []
    for url in ["", "https://a b", "https://a\tb", *AWKWARD.split()]:
        try:
            check(url, "token")
        except StartupRefused:
            continue
        assert httpx.URL(url).host, url
        passed.append(url)
    assert {"https://127.0.0.1:80/x", "https://[::1]:80", "https://u:p@a/x?y#z", "https://a_b"} <= {*passed}
