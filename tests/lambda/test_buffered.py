"""Buffered mode as a browser meets it, with the real runtime behind the front. npm's eventsource: see test_zips.py."""

from __future__ import annotations

import json

import httpx
import pytest

from .serving import publish, reading, serving

pytestmark = pytest.mark.real(seconds=15)

MESSAGES = [f"é 猫 🐈 {number}" for number in range(500)]


async def test_chromium_reads_five_hundred_messages_once_and_in_order(store: dict[str, str]) -> None:
    async with (
        serving(store | {"GAPLESS_ORIGINS": "*"}) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
    ):
        async with reading("chromium", f"{front.url}/channels/general/stream") as reader:
            sent = await publish(http, "general", MESSAGES, [1, 1, 1, 7, 1, 30])
            await reader.until(lambda one: len(one.messages) >= 500, "500 messages", alarm=60)
        seen = [(one.id, json.loads(one.data)["data"]) for one in reader.messages]
    assert seen == sent
    assert reader.reconnects >= 5 and not reader.of("gap")
