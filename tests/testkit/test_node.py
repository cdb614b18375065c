"""Each npm client reads everything once, in order, from a server that keeps cutting."""

from __future__ import annotations

import json

import pytest

from tests.testkit.cutting_server import cutting_server
from tests.testkit.node import CLIENTS, Client, node_reader

pytestmark = pytest.mark.real(seconds=3)


@pytest.mark.parametrize("client", CLIENTS)
async def test_reads_across_cuts(client: Client) -> None:
    async with (
        cutting_server(total=60, every=7) as server,
        node_reader(client, server.url, count=60, events=["ping"]) as reader,
    ):
        messages = await reader.finished()

    assert [int(seen.id) for seen in messages] == list(range(1, 61))
    assert [seen.data.lstrip("é") for seen in messages] == [seen.id for seen in messages]
    assert {seen.event for seen in messages} == {"message", "ping"}
    assert server.resumed == [0, 7, 14, 21, 28, 35, 42, 49, 56]
    assert all(server.ends.values())
    assert (reader.opens, len(reader.of("hello")), len(reader.of("end"))) == (9, 9, 3)
    assert json.loads(reader.of("end")[0].data) == {"reason": "deadline"}


async def test_iterates_as_events_come_and_ends_with_the_client() -> None:
    async with (
        cutting_server(total=4, every=2) as server,
        node_reader("eventsource", server.url, count=4) as reader,
    ):
        heard = [seen.event async for seen in reader]
    assert heard == ["hello", "message", "message", "end", "hello", "message", "message"]


async def test_says_so_when_node_fails() -> None:
    async with node_reader("eventsource", "no url") as reader:
        with pytest.raises(AssertionError, match="ended before"):
            await reader.finished()
