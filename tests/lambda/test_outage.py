"""Redis goes, and comes back: nobody is told to stop, and nothing is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.alarm import auntil

from .serving import publish, reading, serving, through_a_proxy
from .turns import take

if TYPE_CHECKING:
    from tests.testkit.fault_proxy import FaultProxy

pytestmark = pytest.mark.real(seconds=20)

PATH = "/channels/c"


async def test_while_redis_is_gone_readers_are_told_so_and_then_miss_nothing(store: dict[str, str]) -> None:
    async with (
        through_a_proxy(store) as (env, proxy),
        serving(env) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
        reading("eventsource", f"{front.url}{PATH}/stream") as reader,
    ):
        sent = await publish(http, "c", range(5), [1])
        await reader.until(lambda one: len(one.messages) == 5, "what was sent before")
        proxy.stop_listening()
        assert proxy.cut_all() > 0
        await nothing_but_a_long_pause(http, sent[-1].id)
        await nothing_is_taken(http)
        await reader.until(lambda one: one.of("end")[-1].data == '{"reason":"unavailable"}', "it is told")
        assert not reader.closed
        await back(http, proxy)
        sent += await publish(http, "c", range(5, 10), [1])
        await reader.until(lambda one: len(one.messages) == 10, "what was sent after")
        assert [one.id for one in reader.messages] == [one.id for one in sent] and not reader.of("gap")


async def nothing_but_a_long_pause(http: httpx.AsyncClient, cursor: str) -> None:
    """With a cursor and without: one `end`, no id that a client would take for its place."""
    for known in (cursor, ""):
        turn = await take(http, f"{PATH}/stream", known)
        assert turn.kinds == ["end"] and turn.end == "unavailable" and turn.cursor == known
        assert turn.retry is not None and 5000 <= turn.retry <= 7500


async def nothing_is_taken(http: httpx.AsyncClient) -> None:
    """A message is refused with a status, as is a page: their clients can read one."""
    refused = await http.post(f"{PATH}/messages", json={"data": "lost"})
    assert (refused.status_code, refused.json()["outcome"]) == (503, "none") and refused.headers["retry-after"]
    assert (await http.get(f"{PATH}/messages")).status_code == 503


async def back(http: httpx.AsyncClient, proxy: FaultProxy) -> None:
    await proxy.listen()

    async def ready() -> bool:
        return (await http.get("/readyz")).status_code == 200

    await auntil(ready, "it is ready again")
