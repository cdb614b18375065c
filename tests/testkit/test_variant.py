"""A service with another clock that hands bodies over whole."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.variant import Variant

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=3)


async def test_its_clock_and_its_mode(valkey: Valkey) -> None:
    async with (
        Variant({"REDIS_URL": valkey.url}, ahead=600, buffered=True) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
    ):
        told = (await client.post("/channels/c/messages", json={"data": 1})).json()
        ahead = datetime.fromisoformat(told["timestamp"]).timestamp() - time.time()
        assert 500 < ahead < 601
        turn = await client.get("/channels/c/stream")
        assert '"mode":"buffered"' in turn.text
