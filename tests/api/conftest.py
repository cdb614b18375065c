"""The app in the test's own process, on a real Valkey; and a look at its health after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.valkey import Valkey


@pytest.fixture
async def served(valkey: Valkey) -> AsyncIterator[RunningApp]:
    """The service with its defaults, but for streams, which end after 0.5 s. Whatever was asked, it is well after."""
    async with running_app(valkey.url) as served:
        yield served
        await assert_well(served)


@pytest.fixture(scope="module")
async def refusing(valkey_server: Valkey) -> AsyncIterator[RunningApp]:
    """One such service for all that a file has refused: no such request leaves a trace, and it is well after them."""
    async with running_app(valkey_server.url) as served:
        yield await served.checked()
        await assert_well(served)


async def assert_well(served: RunningApp) -> None:
    """It publishes, and its streams bring what was published."""
    sent = await served.client.post("/channels/well/messages", json={"data": "well"})
    assert sent.status_code == 201, sent.text
    message = await served.first("/channels/well/stream?history=1", "message")
    assert message["id"] == sent.json()["id"]
