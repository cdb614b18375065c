"""What the tests of channels share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.presence_board import PresenceBoard
from gapless.log.namespaces import Feature
from tests.channels.present import Process
from tests.testkit.model_store import ModelStore


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()


@pytest.fixture
async def process(store: ModelStore) -> AsyncIterator[Process]:
    """Makes one more process of the service: its board of the channel."""
    feeds = []

    async def make() -> PresenceBoard:
        settings = FeedSettings(15, 10, 86_400, 64, features=(Feature.PRESENCE,))
        feed = Feed("c", store, settings, store.clock.now)
        feeds.append(feed)
        await feed.ready()
        assert feed.around.presence is not None
        return feed.around.presence

    yield make
    for feed in feeds:
        await feed.close()
