"""Where the service must not start, it says why: by its exit on a server, by every reply on a platform."""

from __future__ import annotations

import sys

import httpx
import pytest

from gapless.api.factory import serve_or_explain
from gapless.platforms.policy import (
    LAMBDA,
    LAMBDA_ADAPTER,
    LAMBDA_ADAPTER_BUFFERED,
    LARGEST_BUFFERED,
    SERVER,
    VERCEL,
    Policy,
)

STORE = {"REDIS_URL": "redis://store.example"}
PUBLIC = {"GAPLESS_PUBLIC": "true"}
SECRET = {"GAPLESS_JWT_SECRET": "0123456789abcdef0123456789abcdef"}
TOO_LARGE = {"GAPLESS_MAX_BODY": str(LARGEST_BUFFERED + 1)}
PLATFORMS = [LAMBDA, LAMBDA_ADAPTER, LAMBDA_ADAPTER_BUFFERED, VERCEL]
BUFFERED = [LAMBDA, LAMBDA_ADAPTER_BUFFERED]

REFUSED = {
    "no store": (PUBLIC, ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "REDIS_URL"], PLATFORMS),
    "open to the world": (STORE, ["GAPLESS_PUBLIC=true"], PLATFORMS),
    "messages no reply can hold": (STORE | PUBLIC | TOO_LARGE, [f"at most {LARGEST_BUFFERED}"], BUFFERED),
    "a setting that can't be read": (STORE | PUBLIC | {"GAPLESS_CAP": "5"}, ["GAPLESS_CAP", "'5'"], PLATFORMS),
    "a secret that is too short": (STORE | {"GAPLESS_JWT_SECRET": "hunter2"}, ["it has 7 characters"], PLATFORMS),
    "a misspelt secret": (STORE | PUBLIC | {"GAPLESS_JWT_SECERT": "x" * 32}, ["GAPLESS_JWT_SECRET may be"], PLATFORMS),
    "an origin that never matches": (STORE | PUBLIC | {"GAPLESS_ORIGINS": "a.example"}, ["no scheme"], PLATFORMS),
    "keys from nowhere": (STORE | {"GAPLESS_JWKS_URL": "a.example/keys"}, ["GAPLESS_JWKS_URL: it is no"], PLATFORMS),
    "half an Upstash": ({"KV_REST_API_URL": "https://a.example"}, ["UPSTASH_REDIS_REST_TOKEN is not"], PLATFORMS),
}
STARTS: dict[str, tuple[dict[str, str], list[Policy]]] = {
    "said to be public": (STORE | PUBLIC, PLATFORMS),
    "with keys": (STORE | SECRET, PLATFORMS),
    "large messages where replies stream": (STORE | PUBLIC | TOO_LARGE, [SERVER, LAMBDA_ADAPTER, VERCEL]),
    "on a machine of one's own: loopback and its own Valkey do": ({}, [SERVER]),
}


async def ask(
    policy: Policy, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, *paths: str
) -> list[httpx.Response]:
    """What the service answers to these routes."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    transport = httpx.ASGITransport(serve_or_explain(policy))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return [await http.get(path) for path in paths]


@pytest.mark.parametrize("why", REFUSED)
async def test_on_a_platform_every_reply_names_the_setting(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, words, platforms = REFUSED[why]
    for policy in platforms:
        reply, stream = await ask(policy, settings, monkeypatch, "/healthz", "/channels/+/stream")
        assert reply.status_code == 503
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["title"] == "Service not configured"
        assert all(word in reply.json()["detail"] for word in words)
        # An EventSource that is open when such a deployment is made must outlive it.
        assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        comment, _, rest = stream.text.partition("retry: ")
        assert comment.startswith(": ") and all(word in comment for word in words)
        assert 5000 <= int(rest.partition("\n")[0]) <= 7500
        assert rest.endswith('\nevent: end\ndata: {"reason":"unavailable"}\n\n') and "id:" not in rest


@pytest.mark.parametrize(
    ("settings", "package"),
    [(STORE | PUBLIC, "redis"), (STORE | {"GAPLESS_JWKS_URL": "https://a.example/"}, "cryptography")],
)
async def test_what_is_not_installed_is_said_by_every_reply(
    settings: dict[str, str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request of a stream got a 500, which stops an EventSource for ever."""
    monkeypatch.setitem(sys.modules, package, None)
    for policy in PLATFORMS:
        reply, stream = await ask(policy, settings, monkeypatch, "/healthz", "/channels/+/stream")
        assert (reply.status_code, stream.status_code) == (503, 200)
        assert "pip install 'gapless[" in reply.json()["detail"] and "pip install 'gapless[" in stream.text


@pytest.mark.parametrize("credentials", [{}, {"Cookie": "gapless_token=x"}])
async def test_pages_of_other_origins_may_read_why_or_their_streams_would_stop_for_ever(
    credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser stops an EventSource whose reply it may not read, as it does at a status."""
    monkeypatch.setenv("GAPLESS_ORIGINS", "app.example.com")
    page = {"Origin": "https://app.example.com", **credentials}
    asking = {**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for policy in PLATFORMS:
        transport = httpx.ASGITransport(serve_or_explain(policy))
        async with httpx.AsyncClient(transport=transport, base_url="https://gapless.example") as http:
            stream = await http.get("/channels/a/stream", headers=page)
            preflight = await http.options("/channels/a/messages", headers=asking)
            other = await http.post("/channels/a/messages", headers=page, json={"data": 1})
        assert (stream.status_code, preflight.status_code, other.status_code) == (200, 200, 503)
        for reply in (stream, preflight, other):
            assert reply.headers["access-control-allow-origin"] == "https://app.example.com"
            assert reply.headers["access-control-allow-credentials"] == "true"
            assert "Origin" in reply.headers["vary"]


@pytest.mark.parametrize("why", STARTS)
async def test_what_is_safe_starts(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, platforms = STARTS[why]
    for policy in platforms:
        [reply] = await ask(policy, settings, monkeypatch, "/healthz")
        assert reply.status_code == 200


def test_a_server_ends_with_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_CAP", "5")
    with pytest.raises(SystemExit, match=r"^gapless: GAPLESS_CAP"):
        serve_or_explain(SERVER)


@pytest.mark.parametrize("policy", [SERVER, VERCEL])
def test_what_does_nothing_is_in_the_log(
    policy: Policy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in (STORE | PUBLIC | {"GAPLESS_CAPP": "500"}).items():
        monkeypatch.setenv(name, value)
    serve_or_explain(policy)
    assert caplog.messages == ["GAPLESS_CAPP is no setting, so it does nothing; GAPLESS_CAP may be meant."]
