"""Publishing from Python code in the process that serves: what a request would store, and what it would be refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

import gapless
from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.valkey import Valkey

PATH = "/channels/general/messages"


def live(served: RunningApp) -> gapless.GaplessApp:
    assert isinstance(served.app, gapless.GaplessApp)
    return served.app


async def test_what_is_published_is_what_a_request_stores(served: RunningApp) -> None:
    sent = await live(served).publish("general", {"text": "hi"}, event="chat.said", user="ann", local_id="4f")
    again = await served.client.post(
        PATH, json={"data": {"text": "hi"}, "event": "chat.said", "user": "ann", "localId": "4f"}
    )
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (200, sent.id, True)
    assert (
        datetime.fromtimestamp(sent.time / 1000, UTC).isoformat(timespec="milliseconds")[:19]
        in (again.json()["timestamp"])
    )
    (message,) = (await served.client.get(PATH)).json()["messages"]
    assert message["data"] == {"text": "hi"}


async def test_the_same_again_is_a_duplicate(served: RunningApp) -> None:
    first = await live(served).publish("general", 1, local_id="4f")
    assert not first.duplicate
    assert await live(served).publish("general", 1, local_id="4f") == first._replace(duplicate=True)
    with pytest.raises(gapless.Refused, match="other content"):
        await live(served).publish("general", 2, local_id="4f")


async def test_streams_of_the_process_hear_it(valkey: Valkey) -> None:
    async with running_app(valkey.url, lifetime=30.0) as served, served.live("/channels/general/stream") as stream:
        await stream.until("hello")
        sent = await live(served).publish("general", "hi")
        assert [message["id"] for message in await stream.until("message")] == [sent.id]


async def test_data_may_be_what_pydantic_makes_json_of(served: RunningApp) -> None:
    await live(served).publish("general", {"at": datetime(2026, 1, 1, tzinfo=UTC), "tags": {"a"}})
    (message,) = (await served.client.get(PATH)).json()["messages"]
    assert message["data"] == {"at": "2026-01-01T00:00:00Z", "tags": ["a"]}


REFUSED: dict[str, dict[str, Any]] = {
    "no channel": {"channel": "a b", "data": 1},
    "two channels": {"channel": "a,b", "data": 1},
    "an event of the service's own": {"channel": "a", "data": 1, "event": "hello"},
    "an empty user": {"channel": "a", "data": 1, "user": ""},
    "an id that is a number": {"channel": "a", "data": 1, "local_id": 7},
    "not a number": {"channel": "a", "data": float("nan")},
    "an object that is no JSON": {"channel": "a", "data": object()},
    "half a character": {"channel": "a", "data": "\ud800"},
    "a number too large for a double": {"channel": "a", "data": 10**309},
    "too many bytes": {"channel": "a", "data": "x" * 131_072},
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
async def test_what_a_request_would_be_refused(sent: dict[str, Any], served: RunningApp, valkey: Valkey) -> None:
    with pytest.raises(gapless.Refused):
        await live(served).publish(**sent)
    assert valkey.cli("DBSIZE") == 0


async def test_there_is_no_rate_for_it(valkey: Valkey) -> None:
    async with running_app(valkey.url, rate=1, burst=1) as served:
        ids = [(await live(served).publish("general", n)).id for n in range(3)]
        assert len(set(ids)) == 3


async def test_without_a_store_it_says_so() -> None:
    async with running_app("unix:///nowhere/at/all") as served:
        with pytest.raises(gapless.StoreUnavailable):
            await live(served).publish("general", json.loads("1"))
