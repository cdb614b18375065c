"""Clients that nobody here wrote: each message exactly once, in order, however often they are cut off."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest
from httpx_sse import aconnect_sse

from tests.real.ordeal import MESSAGES, ordeal
from tests.support.alarm import auntil
from tests.support.browser import chromium, empty_origin, event_source
from tests.support.seen import Seen, Sight

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real(seconds=15), pytest.mark.timeout(180)]


async def test_chromiums_own_event_source(tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with (
        ordeal(tmp_path, client) as trial,
        chromium() as browser,
        empty_origin() as page,
        event_source(browser, trial.url, page_url=page) as source,
    ):
        await source.until(lambda me: me.of("hello"), "hello")
        await trial.publish()
        await source.until(lambda me: len(me.messages) >= MESSAGES, "all messages", alarm=60)
        await source.close()
    assert [json.loads(seen.data)["data"] for seen in source.messages] == list(range(1, MESSAGES + 1))
    trial.judge(source)


async def test_httpx_sse(tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with ordeal(tmp_path, client) as trial:
        sight = Sight()
        reading = asyncio.create_task(read_by_httpx_sse(trial.url, sight))
        await auntil(lambda: sight.of("hello"), "hello")
        await trial.publish()
        async with asyncio.timeout(60):
            await reading
    assert [json.loads(seen.data)["data"] for seen in sight.messages] == list(range(1, MESSAGES + 1))
    trial.judge(sight)


async def read_by_httpx_sse(url: str, sight: Sight) -> None:
    """It leaves reconnecting to its user, who has to do what its documentation says: come back with the last id."""
    last, retry = "", 3000
    async with httpx.AsyncClient(trust_env=False) as client:
        while len(sight.messages) < MESSAGES:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                async with aconnect_sse(client, "GET", url, headers=headers) as source:
                    sight.opens += 1
                    async for sse in source.aiter_sse():
                        last, retry = sse.id or last, sse.retry or retry
                        sight.seen.append(Seen(sse.id, sse.event, sse.data))
                        if len(sight.messages) >= MESSAGES:
                            return
            except httpx.TransportError:
                sight.errors += 1
            await asyncio.sleep(retry / 1000)
