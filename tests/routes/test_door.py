"""What stands before every route: who may come in, what other pages may do, and one log line per request."""

from __future__ import annotations

import logging
import re

import pytest

from tests.front.house import House, house
from tests.routes.problem import assert_problem
from tests.support.valkey import Valkey

PATHS = ["/healthz", "/", "/channels/a/messages", "/channels/a/stream", "/nothing"]
PAGE = "https://app.example"


# Without keys: this machine only


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"])
async def test_whoever_came_through_a_proxy(header: str, served: House) -> None:
    for path in PATHS:
        assert_problem(await served.client.get(path, headers={header: "127.0.0.1"}), 403, "GAPLESS_PUBLIC=true")
    reply = await served.client.post("/channels/a/messages", json={"data": 1}, headers={header.lower(): ""})
    assert_problem(reply, 403, "GAPLESS_PUBLIC=true")


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.7", "203.0.113.9", "2001:db8::1", "testclient", ""])
async def test_whoever_comes_from_elsewhere(address: str, served: House) -> None:
    for path in PATHS:
        assert_problem(await served.at(address).get(path), 403, "GAPLESS_PUBLIC=true")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
async def test_this_machine(address: str, served: House) -> None:
    assert (await served.at(address).get("/healthz")).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"])
async def test_another_name_for_this_machine(host: str, served: House) -> None:
    """A page whose name was pointed at us, or a tunnel."""
    assert_problem(await served.client.get("/healthz", headers={"Host": host}), 403, "GAPLESS_PUBLIC=true")


async def test_open_to_everybody_by_setting(valkey: Valkey) -> None:
    async with house(valkey.url, public=True) as served:
        reply = await served.at("203.0.113.9").get(
            "/healthz", headers={"X-Forwarded-For": "1.2.3.4", "Host": "a.example"}
        )
        assert reply.status_code == 200


# Other pages


async def test_no_page_is_allowed_unless_one_is_named(served: House) -> None:
    for reply in (
        await served.client.get("/healthz", headers={"Origin": PAGE}),
        await served.client.options("/channels/a/messages", headers=preflight(PAGE)),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_a_page_that_is_named(valkey: Valkey) -> None:
    async with house(valkey.url, origins=(PAGE,)) as served:
        for path, status in (("/channels/a/messages", 200), ("/channels/a/stream", 200), ("/channels/-/messages", 422)):
            reply = await served.client.get(path, headers={"Origin": PAGE})
            assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (status, PAGE)
            assert reply.headers["access-control-allow-credentials"] == "true"
            assert "retry-after" in reply.headers["access-control-expose-headers"].lower()
            assert "origin" in reply.headers["vary"].lower()
        asked = await served.client.options("/channels/a/messages", headers=preflight(PAGE))
        allowed = asked.headers["access-control-allow-headers"].lower()
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key", "last-event-id"))


async def test_a_page_that_is_not_named(valkey: Valkey) -> None:
    async with house(valkey.url, origins=(PAGE,)) as served:
        for other in ("https://evil.example", f"{PAGE}.evil.example", "http://app.example", "null"):
            reply = await served.client.get("/healthz", headers={"Origin": other})
            assert "access-control-allow-origin" not in reply.headers
            asked = await served.client.options("/channels/a/messages", headers=preflight(other))
            assert (asked.status_code, asked.headers.get("access-control-allow-origin")) == (400, None)


async def test_all_pages_but_without_cookies(valkey: Valkey) -> None:
    async with house(valkey.url, origins=("*",)) as served:
        reply = await served.client.get("/healthz", headers={"Origin": PAGE})
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in reply.headers


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key",
    }


# The log


async def test_one_line_for_each_request(served: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gapless.access"):
        await served.client.post(
            "/channels/a/messages?token=secret", json={"data": "secret"}, headers={"X-Secret": "secret"}
        )
        await served.client.get("/channels/a/messages", params={"limit": 0})
        await served.client.get("/nothing/here")
        await served.at("203.0.113.9").get("/healthz")
    assert [re.sub(r"\d+\.\d{3}s$", "…", line) for line in lines(caplog)] == [
        "POST /channels/a/messages 201 …",
        "GET /channels/a/messages 422 …",
        "GET /nothing/here 404 …",
        "GET /healthz 403 …",
    ]


async def test_a_streams_end_has_its_reason_messages_and_seconds(
    served: House, caplog: pytest.LogCaptureFixture
) -> None:
    await served.client.post("/channels/a/messages", json=[{"data": 1}, {"data": 2}])
    with caplog.at_level(logging.INFO, "gapless.access"):
        await served.client.get("/channels/a/stream?history=2")
        async with served.live("/stream?channel=a&channel=b&history=1") as stream:
            await stream.until("message")
    ended, left = lines(caplog)
    assert re.fullmatch(r"GET /channels/a/stream 200 0\.[1-9]\d\ds end=deadline messages=2", ended)
    assert re.fullmatch(r"GET /stream 200 \d\.\d{3}s end=(disconnect|deadline) messages=1", left)


async def test_a_path_cannot_forge_a_line(served: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gapless.access"):
        await served.client.get("/a%0AGET%20/forged%20200%1B%5B31m%E2%80%A8%C2%85b" + "x" * 5000)
    [line] = lines(caplog)
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert len(line) < 300


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "gapless.access"]
