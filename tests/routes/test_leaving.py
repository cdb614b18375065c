"""Requests that wait when the server is told to stop are answered at once, and never with a 500."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.alarm import auntil
from tests.support.service import Service
from tests.support.valkey import start_valkey
from tests.support.variant import Variant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.valkey import Valkey

pytestmark = pytest.mark.real(seconds=5)

SOON = 8.0
"""Seconds in which whoever waits must be answered; after 10 the server would break it off with a 500."""


async def answer_when_told_to_stop(service: Service, store: Valkey, path: str) -> tuple[str, httpx.Response]:
    """What a request is told that waited for what comes after a message; and that message's id."""
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=30) as client:
        first = (await client.post("/channels/c/messages", json={"data": 1})).json()["id"]
        asked = asyncio.create_task(client.get(f"{path}{first}"))
        await auntil(lambda: store.cli("PUBSUB", "NUMSUB", "gapless:0:c")[1] == 1, "its feed to listen")
        began = time.monotonic()
        stopping = asyncio.create_task(service.aterminate())
        reply = await asked
        assert time.monotonic() - began < SOON
        assert await stopping in {0, -15}, "uvicorn by itself repeats the signal"
        assert "Traceback" not in service.log
    return first, reply


async def test_a_long_poll_finds_nothing_and_asks_again(tmp_path: Path) -> None:
    with start_valkey(tmp_path / "valkey") as store:
        async with Service({"REDIS_URL": store.url}) as service:
            first, reply = await answer_when_told_to_stop(service, store, "/channels/c/messages?wait=25&after=")
    assert reply.status_code == 200
    told = reply.json()
    assert (told["messages"], told["cursor"], told["gap"]) == ([], first, None)


async def test_a_turn_says_why_and_its_client_keeps_its_place(tmp_path: Path) -> None:
    with start_valkey(tmp_path / "valkey") as store:
        async with Variant({"REDIS_URL": store.url}, buffered=True) as service:
            _, reply = await answer_when_told_to_stop(service, store, "/channels/c/stream?after=")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert 'event: end\ndata: {"reason":"shutdown"}' in reply.text
    assert "id:" not in reply.text
    assert "retry: 0" not in reply.text
