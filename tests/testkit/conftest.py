"""Fixtures of the tests of the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testkit.rest import client
from tests.testkit.upstash import UpstashEmulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.testkit.valkey import Valkey


@pytest.fixture
async def up(valkey: Valkey) -> AsyncIterator[UpstashEmulator]:
    """An emulator over the emptied Valkey."""
    async with UpstashEmulator(valkey.url) as emulator:
        yield emulator


@pytest.fixture
async def http(up: UpstashEmulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it with the standard token."""
    async with client(up) as made:
        yield made
