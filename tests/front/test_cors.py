"""What other origins are told, header by header; `test_browser.py` shows that a browser does as it is told."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

APP, EVIL = "https://app.example.com", "https://evil.example"
PATHS = ["/channels/a/messages", "/channels/a/stream", "/stream?channel=a", "/tickets", "/channels", "/nowhere", "/"]
ALLOW = "access-control-allow-"
TRACED = "baggage,sentry-trace,traceparent,tracestate,x-request-id"


@asynccontextmanager
async def allowing(valkey: Valkey, origins: str) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, jwt_secret=SECRET, origins=origins) as found:
        yield found


def cors(reply: httpx.Response) -> dict[str, str]:
    """What the reply says to other origins, without the beginning that all such headers share."""
    return {name[len(ALLOW) :]: value for name, value in reply.headers.items() if name.startswith(ALLOW)}


def headers(origin: str, **more: str) -> dict[str, str]:
    token = Secret().sign(claims_of(time.time()))
    return {"Origin": origin, "Authorization": f"Bearer {token}", **more}


@pytest.mark.parametrize("path", PATHS)
async def test_an_allowed_origin_may_read_with_credentials_and_no_other_may(valkey: Valkey, path: str) -> None:
    async with allowing(valkey, f"{APP}, https://two.example/") as found:
        for origin in (APP, "https://two.example"):
            reply = await found.client.get(path, headers=headers(origin))
            assert cors(reply) == {"origin": origin, "credentials": "true"}
            assert "Origin" in reply.headers["vary"]
            assert reply.headers["access-control-expose-headers"] == "Retry-After, Server-Timing, X-Request-Id"
        for origin in (EVIL, "null", f"{APP}.evil.example", APP.replace("https", "http"), f"{APP}:444"):
            assert "origin" not in cors(await found.client.get(path, headers=headers(origin)))


async def test_refusals_too_are_readable(valkey: Valkey) -> None:
    """A page can only act on a 401, 403, 422 or 429 that it is allowed to see."""
    async with running_app(valkey.url, jwt_secret=SECRET, origins=APP, rate=0.001, burst=1) as found:
        asked = [
            (401, "/channels/a/messages", {"Authorization": "Bearer x"}, 1),
            (422, "/channels/%20/messages", {}, 1),
            (201, "/channels/a/messages", {}, 1),
            (429, "/channels/a/messages", {}, 1),
            (415, "/channels/a/messages", {"Content-Type": "text/plain"}, 1),
            (405, "/channels", {}, 1),
        ]
        for status, path, more, body in asked:
            sent = {"Content-Type": "application/json", **headers(APP, **more)}
            reply = await found.client.post(path, content=f'{{"data":{body}}}', headers=sent)
            assert reply.status_code == status
            assert cors(reply)["origin"] == APP


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "wanted", ["authorization", "last-event-id", "content-type,idempotency-key", "cache-control", TRACED]
)
async def test_a_preflight_of_an_allowed_origin(valkey: Valkey, method: str, wanted: str) -> None:
    asking = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}
    async with allowing(valkey, APP) as found:
        for path in PATHS:
            reply = await found.client.options(path, headers={"Origin": APP, **asking})
            assert reply.status_code == 200, "a preflight carries no token"
            told = cors(reply)
            assert (told["origin"], told["credentials"]) == (APP, "true")
            assert method in told["methods"]
            assert set(wanted.split(",")) <= {name.strip().lower() for name in told["headers"].split(",")}
            assert int(reply.headers["access-control-max-age"]) >= 600
            refused = await found.client.options(path, headers={"Origin": EVIL, **asking})
            assert refused.status_code == 400
            assert "origin" not in cors(refused)


async def test_a_preflight_of_what_is_not_offered(valkey: Valkey) -> None:
    async with allowing(valkey, APP) as found:
        for method, wanted in (("PATCH", "authorization"), ("GET", "x-secret")):
            asking = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}
            reply = await found.client.options("/channels/a/messages", headers={"Origin": APP, **asking})
            assert reply.status_code == 400


@pytest.mark.parametrize("origins", ["*", f"*,{APP}"])
async def test_all_origins_are_never_all_with_credentials(valkey: Valkey, origins: str) -> None:
    async with allowing(valkey, origins) as found:
        for origin in (APP, EVIL):
            for cookie in ({}, {"Cookie": "gapless_token=x"}):
                reply = await found.client.get("/channels/a/messages", headers=headers(origin, **cookie))
                assert cors(reply)["origin"] in ("*", origin)
                assert "credentials" not in cors(reply)
            asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            reply = await found.client.options("/channels/a/messages", headers={"Origin": origin, **asking})
            assert reply.status_code == 200
            assert "credentials" not in cors(reply)


async def test_without_origins_nobody_elsewhere_is_told_anything(valkey: Valkey) -> None:
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        for origin in (APP, EVIL, "null"):
            reply = await found.client.get("/channels/a/messages", headers=headers(origin))
            assert reply.status_code == 200
            assert cors(reply) == {}
        asking = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        assert (await found.client.options("/channels/a/messages", headers=asking)).status_code == 405


# --- a star for one label, and what is refused

PREVIEW = "https://app-git-main-team.vercel.app"


async def test_a_star_is_the_same_to_cors_and_to_cookies(valkey: Valkey) -> None:
    token = Secret().sign(claims_of(time.time()))
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    told = {PREVIEW: True, "https://vercel.app": False, f"{PREVIEW}.evil.example": False, "http://a.vercel.app": False}
    async with allowing(valkey, "https://*.vercel.app") as found:
        for origin, good in told.items():
            assert ("origin" in cors(await found.client.get("/channels/a/stream", headers=headers(origin)))) is good
            preflight = await found.client.options("/channels/a/messages", headers={"Origin": origin, **asking})
            assert preflight.status_code == (200 if good else 400)
            assert cors(preflight).get("origin") == (origin if good else None)
            cookie = {"Cookie": f"gapless_token={token}", "Origin": origin}
            written = await found.client.post("/channels/a/messages", json={"data": 1}, headers=cookie)
            assert written.status_code == (201 if good else 403)


@pytest.mark.parametrize("origins", ["", APP])
async def test_a_refused_origin_is_logged_as_refused(
    valkey: Valkey, origins: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gapless.access")
    asking = {"Access-Control-Request-Method": "POST"}
    async with allowing(valkey, origins) as found:
        await found.client.get("/channels/a/messages", headers=headers(EVIL))
        await found.client.get("/channels/a/stream", headers=headers(EVIL))
        await found.client.options("/channels/a/messages", headers={"Origin": EVIL, **asking})
        await found.client.get("/channels/a/messages", headers=headers("https://\x1b[31m" + "x" * 5000))
    for record in (lines := [record.getMessage() for record in caplog.records]):
        assert "refused the origin https://" in record and record.endswith("which GAPLESS_ORIGINS does not name")
        assert record.isprintable() and len(record) < 500
    assert len(lines) == 4, "one line a request, whatever is refused"
    assert EVIL in lines[0]


async def test_what_is_not_refused_is_not_logged_so(valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gapless.access")
    async with allowing(valkey, APP) as found:
        for told in (headers(APP), headers("http://localhost"), {}):
            await found.client.get("/channels/a/messages", headers=told)
    async with allowing(valkey, "*") as found:
        await found.client.get("/channels/a/messages", headers=headers(EVIL))
    assert len(caplog.records) == 4
    assert "refused" not in caplog.text
