"""What several of these tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.press import new_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """One client for all connections of a test: making one costs more than a request."""
    async with new_client() as client:
        yield client
