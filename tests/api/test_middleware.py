"""A service without keys is for this machine: no proxy, no tunnel, no page of another name comes in."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator

import pytest

from gapless.api.middleware import MOST_LOGGED
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey


@pytest.fixture
async def found(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url) as found:
        yield found


PATHS = ["/", "/healthz", "/docs", "/channels/a/messages", "/channels/a/stream", "/nowhere"]


async def refused(reply_status: int, detail: str) -> None:
    assert reply_status == 403
    assert "GAPLESS_PUBLIC=true" in detail


@pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.1", "2001:db8::1", "", "unix:", "0.0.0.0", "::"])
async def test_from_elsewhere_nobody_comes_in(found: RunningApp, address: str) -> None:
    for path in PATHS:
        reply = await found.at(address).get(path)
        await refused(reply.status_code, reply.json()["detail"])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_comes_in(found: RunningApp, address: str) -> None:
    assert (await found.at(address).get("/healthz")).status_code == 200


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via"])
@pytest.mark.parametrize("value", ["127.0.0.1", "", "for=127.0.0.1"])
async def test_through_a_proxy_nobody_is_local(found: RunningApp, name: str, value: str) -> None:
    for path in PATHS:
        reply = await found.client.get(path, headers={name: value})
        await refused(reply.status_code, reply.json()["detail"])


HOSTS = {
    "localhost": True,
    "LocalHost:8000": True,
    "localhost.": True,
    "app.localhost:8000": True,
    "127.0.0.1": True,
    "127.0.0.1:8000": True,
    "127.1.2.3": True,
    "[::1]": True,
    "[::1]:8000": True,
    "evil.example": False,
    "evil.example:8000": False,
    "localhost.evil.example": False,
    "evil-localhost": False,
    "127.0.0.1.evil.example": False,
    "my.tunnel.example": False,
    "203.0.113.7": False,
    "0.0.0.0": False,
    "[2001:db8::1]": False,
    "[::1": False,
    "": False,
    ":8000": False,
    "[": False,
    "localhost:80@evil.example": False,
}


@pytest.mark.parametrize(("host", "local"), HOSTS.items())
async def test_a_page_that_points_its_name_here_does_not_come_in(found: RunningApp, host: str, local: bool) -> None:
    """DNS rebinding: the browser connects to loopback, and believes it talks to the page's own origin."""
    reply = await found.client.get("/channels/a/messages", headers={"Host": host})
    assert reply.status_code == (200 if local else 403)


async def test_whoever_opens_it_or_has_keys_lets_all_to_the_next_door(valkey: Valkey) -> None:
    elsewhere = {"Host": "messages.example.com", "X-Forwarded-For": "203.0.113.7"}
    async with running_app(valkey.url, public=True) as found:
        assert (await found.at("203.0.113.7").get("/channels/a/messages", headers=elsewhere)).status_code == 200
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        assert (await found.at("203.0.113.7").get("/channels/a/messages", headers=elsewhere)).status_code == 401
        assert (await found.at("203.0.113.7").get("/healthz", headers=elsewhere)).status_code == 200


# --- the log


async def logged(found: RunningApp, caplog: pytest.LogCaptureFixture, path: str) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, "gapless.access"):
        await found.client.get(path)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "gapless.access"]
    return line


async def test_a_request_is_one_line_without_its_query(found: RunningApp, caplog: pytest.LogCaptureFixture) -> None:
    line = await logged(found, caplog, "/channels/a/messages?access_token=hunter2&ticket=hunter3")
    assert re.match(r"GET /channels/a/messages 200 \d+\.\d{3}s ", line), line
    assert "hunter" not in line
    line = await logged(found, caplog, "/channels/a/stream?ticket=hunter2")
    assert line.endswith("end=deadline messages=0")


@pytest.mark.parametrize("odd", ["%0a2026 INFO forged", "%1b[31m", "%e2%80%a8", "%c2%85", "%00", "%ff", " 200 0.001s"])
async def test_a_path_is_one_word_whatever_is_in_it(
    found: RunningApp, caplog: pytest.LogCaptureFixture, odd: str
) -> None:
    line = await logged(found, caplog, f"/channels/{odd}")
    assert line.isprintable()
    assert line.isascii()
    assert line.split()[2] == "405", "the third word is the status, and the path can't pretend another"


async def test_a_long_path_is_cut(found: RunningApp, caplog: pytest.LogCaptureFixture) -> None:
    assert len(await logged(found, caplog, "/" + "x" * 50_000)) < MOST_LOGGED + 50


# --- what browsers are told of every reply


@pytest.mark.parametrize("path", [*PATHS, "/static/page.js", "/openapi.json", "/channels", "/stream"])
async def test_every_reply_is_nothing_but_what_it_says(found: RunningApp, path: str) -> None:
    reply = await found.client.get(path)
    assert reply.headers.get_list("x-content-type-options") == ["nosniff"]
    assert reply.headers.get_list("referrer-policy") == ["no-referrer"]
    (policy,) = reply.headers.get_list("content-security-policy")
    assert "frame-ancestors 'none'" in policy
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    scripts = rules.get("script-src", rules["default-src"])
    assert "unsafe" not in scripts
    assert "*" not in scripts
    if path not in ("/", "/docs"):
        assert rules["default-src"] == "'none'"


async def test_a_refusal_at_the_door_too(found: RunningApp) -> None:
    reply = await found.at("203.0.113.7").get("/")
    assert reply.headers["content-security-policy"]


# --- what caches are told


async def test_no_cache_keeps_a_reply(valkey: Valkey) -> None:
    """A shared cache gave an administrator's list of channels to a stranger."""
    async with running_app(valkey.url, jwt_secret=SECRET, origins="https://app.example.com", max_body=1024) as found:
        admin = bearer(
            Secret().sign(claims_of(time.time(), gapless={"publish": ["*"], "subscribe": ["*"], "admin": True}))
        )
        preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        asked: list[tuple[int, str, str, dict[str, str]]] = [
            (200, "GET", "/channels", admin),
            (204, "DELETE", "/channels/a", admin),
            (200, "GET", "/channels/a/messages", admin),
            (200, "GET", "/channels/a/stream", admin),
            (200, "HEAD", "/channels/a/stream", admin),
            (415, "POST", "/channels/a/messages", admin),
            *((200, method, path, {}) for method in ("GET", "HEAD") for path in ("/healthz", "/readyz")),
            (200, "GET", "/openapi.json", {}),
            (401, "GET", "/channels", {}),
            (401, "GET", "/channels", {"Origin": "https://evil.example"}),
            (404, "GET", "/nowhere", {}),
            (404, "HEAD", "/nowhere", {}),
            (404, "GET", "/static/nowhere.js", {}),
            (405, "PUT", "/channels", admin),
            (405, "HEAD", "/channels", admin),
            (200, "OPTIONS", "/channels/a/messages", preflight),
            (400, "OPTIONS", "/channels/a/messages", {**preflight, "Origin": "https://evil.example"}),
        ]
        for status, method, path, headers in asked:
            reply = await found.client.request(method, path, headers=headers)
            assert (reply.status_code, method, path) == (status, method, path)
            assert reply.headers.get_list("cache-control")[0].startswith("no-store"), (method, path)


async def test_pages_and_their_files_are_asked_for_again(valkey: Valkey) -> None:
    """One that was kept without an Origin must not be given to a page that has one."""
    async with running_app(valkey.url, jwt_secret=SECRET, origins="https://app.example.com") as found:
        for path in ("/", "/docs", "/static/page.js", "/static/icon.svg"):
            reply = await found.client.get(path)
            assert reply.headers.get_list("cache-control") == ["no-cache"]
            assert "Origin" in reply.headers["vary"]
            assert (await found.client.head(path)).headers["cache-control"] == "no-cache"
        again = await found.client.get(path, headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status_code, again.headers.get_list("cache-control")) == (304, ["no-cache"])


async def test_a_defect_of_ours_is_a_problem_like_any_other(
    valkey: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that is said of every reply, to pages of allowed origins too, and its status in the log."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    async with running_app(valkey.url, origins="https://app.example.com", public=True) as found:
        monkeypatch.setattr(found.app.wiring.service.store, "publish", broken)
        with caplog.at_level(logging.INFO, "gapless"):
            reply = await found.client.post(
                "/channels/a/messages", json={"data": 1}, headers={"Origin": "https://app.example.com"}
            )
    assert (reply.status_code, reply.headers["content-type"]) == (500, "application/problem+json")
    assert "of ours" not in reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["access-control-allow-origin"] == "https://app.example.com"
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "POST /channels/a/messages 500 " in told
    assert "ZeroDivisionError" in caplog.text


# --- slashes


@pytest.mark.parametrize("path", ["/channels/a/messages/", "/channels/a/stream/", "/healthz/", "/docs/", "/static"])
async def test_no_slash_at_the_end_sends_anybody_elsewhere(found: RunningApp, path: str) -> None:
    """A redirect would name an absolute address, as seen from here: `http://` behind TLS, without a proxy's path."""
    for method in ("GET", "POST", "HEAD"):
        reply = await found.client.request(method, path)
        assert reply.status_code == 404
        assert "location" not in reply.headers
    assert "slash" in (await found.client.get("/docs/")).json()["detail"]
