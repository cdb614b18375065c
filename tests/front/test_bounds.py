"""What one client may take of the service: each bound is there, and what is within it passes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from gapless.api import dependencies as deps
from tests.testkit.alarm import until
from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.raw_http import connect, request
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

MESSAGES = "/channels/a/messages"


def nested(depth: int) -> bytes:
    """A message whose JSON is so many levels deep, itself included."""
    return b'{"data":' + b"[" * (depth - 1) + b"1" + b"]" * (depth - 1) + b"}"


async def post(found: RunningApp, body: bytes, **headers: str) -> int:
    declared = {"Content-Type": "application/json", **headers}
    return (await found.client.post(MESSAGES, content=body, headers=declared)).status_code


async def test_json_may_be_two_hundred_deep(valkey: Valkey) -> None:
    async with running_app(valkey.url) as found:
        assert [await post(found, nested(depth)) for depth in (1, 100, 199, 200)] == [201] * 4
        assert [await post(found, nested(depth)) for depth in (202, 255, 1000, 60_000)] == [400] * 4
        kept = (await found.client.get(MESSAGES)).json()["messages"]
        assert json.dumps(kept[-1]["data"]).count("[") == 199


async def test_a_body_is_no_larger_than_was_set(valkey: Valkey) -> None:
    async with running_app(valkey.url, max_body=1024) as found:
        assert await post(found, b'{"data":"' + b"x" * (1024 - 11) + b'"}') == 201
        assert await post(found, b'{"data":"' + b"x" * (1024 - 10) + b'"}') == 413
        reply = await found.client.post("/tickets", content=b" " * 2000, headers={"Content-Type": "application/json"})
        assert reply.status_code == 413


async def test_a_body_that_does_not_come_is_not_waited_for(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deps, "BODY_SECONDS", 0.1)
    sent: list[MutableMapping[str, Any]] = []
    pieces = [{"type": "http.request", "body": b'{"data":', "more_body": True}]

    async def receive() -> MutableMapping[str, Any]:
        return pieces.pop() if pieces else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"},
        **{"path": MESSAGES, "raw_path": MESSAGES.encode(), "query_string": b"", "root_path": ""},
        **{
            "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        },
    }
    async with running_app(valkey.url) as found:
        await found.app(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["title"] == "Request timeout"


async def test_a_page_ends_at_half_a_mebibyte(valkey: Valkey) -> None:
    async with running_app(valkey.url) as found:
        for _ in range(8):
            assert await post(found, json.dumps({"data": "x" * 120_000}).encode()) == 201
        page = await found.client.get(f"{MESSAGES}?limit=200")
        assert 400_000 < len(page.content) < 530_000
        assert [one["id"].split("-")[1] for one in page.json()["messages"]] == ["5", "6", "7", "8"]


async def test_a_stream_has_sixteen_channels_at_most(valkey: Valkey) -> None:
    async with running_app(valkey.url) as found:
        names = [f"c{number}" for number in range(17)]
        for form in ("&channel=".join(names[:16]), ",".join(names[:16])):
            assert (await found.client.get(f"/stream?channel={form}")).status_code == 200
        for form in ("&channel=".join(names), ",".join(names), "", "a&channel=a", "a,a", "a,", "a&channel="):
            reply = await found.client.get(f"/stream?channel={form}")
            assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
        assert (await found.client.get("/stream")).status_code == 422


@pytest.mark.real(seconds=5)
def test_readers_who_read_nothing_cost_next_to_nothing(valkey: Valkey) -> None:
    """Each could have been sent 12 MB; what is kept for it is a chunk and the kernel's buffers."""
    with Service({"REDIS_URL": valkey.url, "GAPLESS_BURST": "100000", "GAPLESS_RATE": "100000"}) as service:
        sleepers = [connect(service) for _ in range(30)]
        try:
            for sock in sleepers:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.sendall(request("GET", "/channels/a/stream"))
                assert sock.recv(12) == b"HTTP/1.1 200"
            before = memory(service)
            with httpx.Client(base_url=service.url, trust_env=False, timeout=30) as http:
                for _ in range(100):
                    assert http.post(MESSAGES, json={"data": "x" * 120_000}).status_code == 201
            until(lambda: memory(service) < before + 40_000_000, "no more than 40 MB beside what it had")
            assert httpx.get(f"{service.url}/healthz", trust_env=False).status_code == 200
        finally:
            for sock in sleepers:
                sock.close()


def memory(service: Service) -> int:
    """Bytes that the process holds."""
    with open(f"/proc/{service.pid}/statm") as statm:  # noqa: PTH123 - no file of ours
        return int(statm.read().split()[1]) * 4096
