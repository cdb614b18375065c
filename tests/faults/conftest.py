"""What these tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """One client for all connections of a test, more patient than any fault lasts."""
    async with httpx.AsyncClient(transport=Wire(), timeout=30) as client:
        yield client
