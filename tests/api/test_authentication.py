"""Who asks: where a token may stand, whose cookies count, and which address is believed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gapless.api.authentication import address
from gapless.platforms.policy import LAMBDA, LAMBDA_ADAPTER, LAMBDA_ADAPTER_BUFFERED, SERVER, VERCEL
from tests.testkit.app_fixture import RunningApp, bearer, events, of_kind, running_app, virtual_app
from tests.testkit.forge import OTHER_SECRET, SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

# --- addresses: what each platform vouches for

PEER = "198.51.100.9"
CLIENT = "203.0.113.7"
SPOOFED = "192.0.2.66"


def scope(forwarded: str | list[str] = "", real: str = "", event: dict[str, Any] | None = None) -> dict[str, Any]:
    lines = [forwarded] if isinstance(forwarded, str) else forwarded
    headers = [(b"x-forwarded-for", line.encode()) for line in lines if line]
    headers += [(b"x-real-ip", real.encode())] if real else []
    return {"client": (PEER, 4711), "headers": headers, **({"aws.event": event} if event is not None else {})}


HTTP_API = {"requestContext": {"http": {"sourceIp": PEER}}}
REST_API = {"requestContext": {"identity": {"sourceIp": PEER}}}
ALB = {"requestContext": {"elb": {"targetGroupArn": "arn:…"}}}

BELIEVED: dict[str, tuple[dict[str, Any], str, int, str | None]] = {
    "a server believes its peer": (scope(), "server", 0, PEER),
    "and no header": (scope(SPOOFED, SPOOFED), "server", 0, PEER),
    "one proxy of its own added the peer": (scope(f"{SPOOFED}, {CLIENT}"), "server", 1, CLIENT),
    "two proxies": (scope(f"{SPOOFED}, {CLIENT}, 10.0.0.1"), "server", 2, CLIENT),
    "in lines of their own": (scope([SPOOFED, CLIENT, "10.0.0.1"]), "server", 2, CLIENT),
    "past the proxies": (scope(), "server", 1, PEER),
    "uvicorn put a header's in the peer's place": (scope(f"{SPOOFED}, {PEER}"), "server", 0, None),
    "with a port": (scope(f"{PEER}:4711"), "server", 0, None),
    "past one of the proxies, too": (scope(PEER), "server", 2, None),
    "and the proxy's own count holds": (scope(f"{SPOOFED}, {PEER}"), "server", 1, PEER),
    "past one of the proxies": (scope(SPOOFED), "server", 2, PEER),
    "X-Real-IP is nobody's on a server": (scope(CLIENT, SPOOFED), "server", 1, CLIENT),
    "Vercel writes X-Real-IP itself": (scope(SPOOFED, CLIENT), "vercel", 0, CLIENT),
    "and nothing else": (scope(SPOOFED), "vercel", 0, None),
    "not even for proxies": (scope(f"{SPOOFED}, {SPOOFED}", CLIENT), "vercel", 1, CLIENT),
    "a function URL has the peer in its event": (scope(SPOOFED, SPOOFED, HTTP_API), "lambda", 0, PEER),
    "and a REST API": (scope(SPOOFED, SPOOFED, REST_API), "lambda", 0, PEER),
    "an ALB adds the peer at the end": (scope(f"{SPOOFED}, {CLIENT}", SPOOFED, ALB), "lambda", 0, CLIENT),
    "an ALB alone": (scope(CLIENT, "", ALB), "lambda", 0, CLIENT),
    "an ALB that adds none": (scope("", SPOOFED, ALB), "lambda", 0, None),
    "the adapter is the peer, its front adds": (scope(f"{SPOOFED}, {CLIENT}", SPOOFED), "lambda-adapter", 0, CLIENT),
    "the adapter without a front": (scope(), "lambda-adapter", 0, None),
    "an event without a context": (scope(SPOOFED, "", {}), "lambda", 0, PEER),
    "no peer at all": ({"client": None, "headers": []}, "server", 0, None),
}


@pytest.mark.parametrize(("asked", "platform", "proxies", "believed"), BELIEVED.values(), ids=BELIEVED)
def test_an_address_is_what_the_platform_vouches_for(
    asked: dict[str, Any], platform: str, proxies: int, believed: str | None
) -> None:
    assert address(asked, platform, proxies) == believed


def test_every_platform_has_its_rule() -> None:
    platforms = {policy.platform for policy in (SERVER, LAMBDA, LAMBDA_ADAPTER, LAMBDA_ADAPTER_BUFFERED, VERCEL)}
    assert platforms == {platform for _, platform, _, _ in BELIEVED.values()}


async def test_a_header_that_anyone_can_send_makes_nobody_another(valkey: Valkey) -> None:
    async with running_app(valkey.url, public=True, rate=0.001, burst=1) as found:
        statuses = []
        for number in range(3):
            spoofed = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP")
            headers = dict.fromkeys(spoofed, f"203.0.113.{number}")
            posted = await found.client.post("/channels/a/messages", json={"data": 1}, headers=headers)
            statuses.append(posted.status_code)
        assert statuses == [201, 429, 429]
        other = await found.at("203.0.113.1").post("/channels/a/messages", json={"data": 1})
        assert other.status_code == 201


async def test_proxies_of_ones_own_tell_their_clients_apart(valkey: Valkey) -> None:
    async with running_app(valkey.url, public=True, rate=0.001, burst=1, proxies=1) as found:
        statuses = []
        for client in ("203.0.113.1", "203.0.113.2", "203.0.113.2", "2001:db8::1", "2001:db8::2"):
            headers = {"X-Forwarded-For": f"{time.time_ns()}, {client}"}
            posted = await found.client.post("/channels/a/messages", json={"data": 1}, headers=headers)
            statuses.append(posted.status_code)
        assert statuses == [201, 201, 429, 201, 429], "and a network of IPv6 is one"


# --- where a token stands


@pytest.fixture
async def found(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, jwt_secret=SECRET, origins="https://app.example.com") as found:
        yield found


def token(**claims: Any) -> str:
    return Secret().sign(claims_of(time.time(), **claims))


READ, POST = ("GET", "/channels/a/messages"), ("POST", "/channels/a/messages")


async def status(found: RunningApp, asked: tuple[str, str], headers: dict[str, str], **params: str) -> int:
    body = {"data": 1} if asked[0] == "POST" else None
    return (await found.client.request(*asked, json=body, headers=headers, params=params)).status_code


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_written_as_one_likes(found: RunningApp, scheme: str) -> None:
    assert await status(found, POST, {"Authorization": f"{scheme} {token()}"}) == 201


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", token(), "Basic YW5uOmh1bnRlcjI=", f"Token {token()}", "\xff"])
async def test_what_is_no_bearer_is_nobody(found: RunningApp, header: str) -> None:
    for asked in (READ, POST):
        raw = {b"Authorization": header.encode("latin-1")}
        reply = await found.client.request(*asked, json={"data": 1}, headers=raw)  # type: ignore[arg-type]
        assert reply.status_code == 401


async def test_a_password_for_whoever_stands_before_us_is_no_matter(found: RunningApp) -> None:
    basic = {"Authorization": "Basic YW5uOmh1bnRlcjI="}
    assert await status(found, READ, basic, access_token=token()) == 200
    assert await status(found, READ, {**basic, "Cookie": f"gapless_token={token()}"}) == 200


async def test_the_header_counts_before_the_cookie(found: RunningApp) -> None:
    stale = {"Cookie": f"gapless_token={token(exp=1)}", "Origin": "http://localhost"}
    for asked, good in ((READ, 200), (POST, 201)):
        assert await status(found, asked, {**stale, **bearer(token())}) == good
        assert await status(found, asked, {**stale, **bearer(token(exp=1))}) == 401


async def test_a_reply_never_repeats_a_token(found: RunningApp) -> None:
    for bad in (token(exp=1), Secret(OTHER_SECRET).sign(claims_of(time.time())), token(rights=())):
        for way in ({"headers": bearer(bad)}, {"params": {"access_token": bad}}, {"params": {"ticket": bad}}):
            reply = await found.client.get("/channels/a/messages", **way)  # type: ignore[arg-type]
            assert reply.status_code in (401, 403)
            assert bad not in reply.text + str(reply.headers)
            assert bad.split(".")[1] not in reply.text


# --- cookies

ORIGINS = {
    "http://localhost": 201,
    "https://localhost": 201,
    "https://app.example.com": 201,
    "": 403,
    "null": 403,
    "http://app.example.com": 403,
    "https://app.example.com:444": 403,
    "https://app.example.com.evil.example": 403,
    "https://evil.example": 403,
    "https://evil.example/https://app.example.com": 403,
    "http://localhost:8080": 403,
    "http://localhost@evil.example": 403,
    "http://evil.example#localhost": 403,
    "localhost": 403,
    "//localhost": 403,
    "http://[": 403,
    "*": 403,
}


@pytest.mark.parametrize(("origin", "told"), ORIGINS.items())
async def test_a_cookie_writes_for_our_own_pages_and_those_allowed(found: RunningApp, origin: str, told: int) -> None:
    headers = {"Cookie": f"gapless_token={token()}", **({"Origin": origin} if origin else {})}
    assert await status(found, POST, headers) == told


async def test_who_writes_by_cookie_through_another_site_is_told_of_the_setting(found: RunningApp) -> None:
    """As through a rewrite of Next.js: the service's host, and the site's origin."""
    headers = {"Cookie": f"gapless_token={token()}", "Origin": "https://site.example"}
    reply = await found.client.post(POST[1], json={"data": 1}, headers=headers)
    assert reply.status_code == 403
    assert "GAPLESS_ORIGINS" in reply.json()["detail"]


@pytest.mark.parametrize("origin", ["null", "https://evil.example", ""])
async def test_without_a_host_no_origin_is_ours(found: RunningApp, origin: str) -> None:
    headers = {"Cookie": f"gapless_token={token()}", "Host": "", "Origin": origin}
    assert await status(found, POST, headers) == 403


async def test_all_origins_may_read_but_none_writes_by_cookie(valkey: Valkey) -> None:
    async with running_app(valkey.url, jwt_secret=SECRET, origins="*") as found:
        headers = {"Cookie": f"gapless_token={token()}", "Origin": "https://evil.example"}
        assert await status(found, POST, headers) == 403
        assert await status(found, POST, {**bearer(token()), "Origin": "https://evil.example"}) == 201


async def test_a_cookie_reads_for_a_page_that_sends_no_origin(found: RunningApp) -> None:
    """A browser names no origin where a page asks its own; what another page asks for, CORS keeps from it."""
    admin = Secret().sign(claims_of(time.time()) | {"gapless": {"subscribe": ["*"], "admin": True}})
    for path in ("/channels/a/messages", "/channels", "/channels/a/stream"):
        assert await status(found, ("GET", path), {"Cookie": f"gapless_token={admin}"}) == 200
    assert await status(found, ("DELETE", "/channels/a"), {"Cookie": f"gapless_token={admin}"}) == 403


# --- the subject


async def test_the_subject_is_the_user_whatever_the_message_says(found: RunningApp) -> None:
    for claimed in ({}, {"user": "bob"}, {"user": None}):
        posted = await found.client.post("/channels/a/messages", json={"data": 1, **claimed}, headers=bearer(token()))
        assert posted.json()["user"] == "ann"
    batch = [{"data": 1, "user": "bob"}, {"data": 2}]
    posted = await found.client.post("/channels/a/messages", json=batch, headers=bearer(token(sub="eve")))
    assert [one["user"] for one in posted.json()] == ["eve", "eve"]
    kept = await found.client.get("/channels/a/messages", headers=bearer(token()))
    assert [one["user"] for one in kept.json()["messages"]] == ["ann"] * 3 + ["eve"] * 2


# --- a stream and the end of its token


# The token is over, but within the skew: the stream has 0.3 s left. They are virtual, for a real machine may be held up
# for as long before it has said hello.


@pytest.mark.virtual_time
async def test_a_stream_ends_with_its_token_and_its_cursor_is_good_for_the_next() -> None:
    now = time.time() // 1 + 0.7
    async with virtual_app(jwt_secret=SECRET, lifetime=60, clock=lambda: now) as found:
        good, old, over = (token(exp=int(now) + left) for left in (60, -29, -30))
        first = await found.client.post("/channels/a/messages", json={"data": 1}, headers=bearer(good))
        stream = events((await found.client.get("/channels/a/stream?history=5", headers=bearer(old))).content)
        assert of_kind(stream, "end") == ['{"reason":"auth"}']
        assert stream[-1].last_event_id == first.json()["id"]
        again = await found.client.get("/channels/a/stream", headers=bearer(over))
        assert again.status_code == 401, "no client loops"
        second = await found.client.post("/channels/a/messages", json={"data": 2}, headers=bearer(good))
        headers = {**bearer(old), "Last-Event-ID": stream[-1].last_event_id}
        resumed = events((await found.client.get("/channels/a/stream", headers=headers)).content)
        assert [event.last_event_id for event in resumed if event.type == "message"] == [second.json()["id"]]


@pytest.mark.virtual_time
async def test_where_bodies_are_handed_over_whole_it_is_the_same() -> None:
    now = time.time() // 1 + 0.7
    async with virtual_app(LAMBDA, jwt_secret=SECRET, lifetime=60, clock=lambda: now) as found:
        old = token(exp=int(now) - 29)
        first = events((await found.client.get("/channels/a/stream", headers=bearer(old))).content)
        assert of_kind(first, "end") == ['{"reason":"deadline"}'], "it is not over yet"
        place = first[0].last_event_id
        waited = await found.client.get("/channels/a/stream", headers={**bearer(old), "Last-Event-ID": place})
        assert of_kind(events(waited.content), "end") == ['{"reason":"auth"}']


async def test_a_stream_does_not_end_with_a_token_that_outlives_it(found: RunningApp) -> None:
    stream = await found.client.get("/channels/a/stream", headers=bearer(token()))
    assert of_kind(events(stream.content), "end") == ['{"reason":"deadline"}']
