"""Buffered mode as its clients meet it: real clients before a front, the real runtime behind it, real stores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from .serving import publish, reading, serving

if TYPE_CHECKING:
    from .serving import Client

pytestmark = pytest.mark.real(seconds=15)

MESSAGES = [f"é 猫 🐈 {number}" for number in range(500)]


@pytest.mark.parametrize("client", ["eventsource", "chromium"])
async def test_a_client_reads_five_hundred_messages_once_and_in_order(store: dict[str, str], client: Client) -> None:
    async with serving(store | {"GAPLESS_ORIGINS": "*"}) as front, httpx.AsyncClient(base_url=front.url) as http:
        async with reading(client, f"{front.url}/channels/general/stream") as reader:
            sent = await publish(http, "general", MESSAGES, [1, 1, 1, 7, 1, 30])
            await reader.until(lambda one: len(one.messages) >= 500, "500 messages", alarm=60)
        seen = [(one.id, json.loads(one.data)["data"]) for one in reader.messages]
    assert seen == sent
    assert reader.reconnects >= 5 and not reader.of("gap")
