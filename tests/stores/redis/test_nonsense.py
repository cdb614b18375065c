"""Something else than Redis at REDIS_URL, or in the place of a Redis that was there: a failure like any other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.stores.redis import pubsub as redis_pubsub
from gapless.stores.redis.store import RedisStore
from gapless.stores.scripts import Layout
from tests.stores.contract.publications import Heard, publication
from tests.testkit.listener import Listener

if TYPE_CHECKING:
    from tests.testkit.listener import Answer


NONSENSE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
GREETINGS = {b"PING": b"+PONG\r\n", b"INFO": b"$17\r\ncluster_enabled:0\r\n"}


async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        writer.write(NONSENSE)


async def was_redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what a Redis says at the beginning, and nothing else that Redis does."""
    while asked := await reader.read(65_536):
        writer.write(next((reply for word, reply in GREETINGS.items() if word in asked), NONSENSE))


@pytest.mark.parametrize("answer", [web_server, was_redis])
async def test_it_is_a_store_that_does_not_answer(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pubsub, "ACK_TIMEOUT", 0.2)
    async with Listener(answer) as listener:
        store = RedisStore(f"redis://127.0.0.1:{listener.port}", _layout, page=50)
        asked = {
            "publish": lambda: store.publish(publication("c")),
            "tail": lambda: store.tail("c", 1),
            "slice": lambda: store.slice("c", 1, 1),
            "channels": lambda: store.channels("0"),
            "forget": lambda: store.forget("c"),
            "check": store.check,
        }
        for name, ask in asked.items():
            with pytest.raises(StoreUnavailable, match="can't be understood; is it Redis") as told:
                await ask()
            assert told.value.outcome_unknown is (answer is was_redis), name
        with pytest.raises(StoreUnavailable):
            await store.subscribe("c", Heard())
        await store.close()


def _layout(database: int) -> Layout:
    return Layout("gapless", database, 20, 3600)
