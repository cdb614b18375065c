"""Nothing that a publisher may choose adds a field, a line or an event to anyone's stream.

Whatever is accepted comes out as one event, the same to three parsers: two that strangers wrote, httpx-sse and
sseclient-py, and the tests' own, by the standard. And it comes out as it went in.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sseclient import SSEClient

from tests.testkit import strategies as some
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import Live, RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

EASY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
FORGED = "x\n\nid: t9x2k0ab-1-aaaa\nevent: end\ndata: {}\n\n"

names = (
    some.texts | some.users.map(str) | st.sampled_from([FORGED, "a\u2028b", "a\x85b", "\x7f", '","data":{"a":1},"x":"'])
)
messages = st.fixed_dictionaries(
    {"data": some.json_values | some.texts},
    optional={"user": names, "event": some.events | names, "localId": names},
)


@pytest.fixture
async def open_app(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, lifetime=300, rate=0) as found:
        yield found


@pytest.fixture
async def keyed(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, lifetime=300, rate=0, jwt_secret=SECRET) as found:
        yield found


async def post(found: RunningApp, channel: str, body: Any, headers: dict[str, Any] | None = None) -> Any:
    """What was told of it; None where it was refused, or known."""
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    raw: Any = {"Content-Type": "application/json", **(headers or {})}
    reply = await found.client.post(f"/channels/{channel}/messages", content=content, headers=raw)
    assert reply.status_code < 500
    return reply.json() if reply.status_code == 201 else None


async def read(stream: Live, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of a stream, after it was held to what was told of them."""
    await auntil(lambda: len(stream.events) > len(told), f"{len(told)} messages after the hello")
    assert [event.type for event in stream.events] == ["hello", *(one["event"] for one in told)]
    reply = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream.body)
    for strangers in (EventSource(reply).iter_sse(), SSEClient([stream.body]).events()):
        assert [(one.event, one.data, one.id) for one in strangers] == [
            (event.type, event.data, event.last_event_id) for event in stream.events
        ]
    assert stream.body.count(b"\n\n") == len(stream.events)
    fields = {line.partition(":")[0] for line in stream.body.decode().splitlines() if line}
    assert fields <= {"id", "event", "data", "retry"}, "nor to readers who know more line ends than the standard"
    read = [json.loads(event.data) for event in stream.events[1:]]
    members = ("id", "channel", "event", "user", "localId", "timestamp")
    assert [{name: one[name] for name in members} for one in read] == told
    return read


@EASY
@given(channel=some.channels, bodies=st.lists(messages, min_size=1, max_size=4))
@example(channel="a", bodies=[{"data": FORGED, "user": "a\x85\u2028b", "localId": "\u2029"}])
@example(channel="a", bodies=[{"data": {FORGED: FORGED}, "event": "x", "user": '"}', "localId": "\\"}])
async def test_what_a_stranger_sends_is_one_event_each(
    open_app: RunningApp, channel: str, bodies: list[dict[str, Any]]
) -> None:
    async with open_app.live(f"/channels/{channel}/stream") as stream:
        await stream.until("hello")
        sent, told = [], []
        for body in bodies:
            if (accepted := await post(open_app, channel, body)) is not None:
                sent.append(body)
                told.append(accepted)
        assert [one["data"] for one in await read(stream, told)] == [body["data"] for body in sent]
        assert all(event.last_event_id == one["id"] for event, one in zip(stream.events[1:], told, strict=True))


@EASY
@given(channels=st.tuples(some.channels, some.channels), bodies=st.lists(messages, min_size=1, max_size=4))
async def test_and_on_a_stream_of_many_channels(
    open_app: RunningApp, channels: tuple[str, str], bodies: list[dict[str, Any]]
) -> None:
    first, second = channels
    if first == second:
        return
    async with open_app.live(f"/stream?channel={first}&channel={second}") as stream:
        await stream.until("hello")
        told = []
        for index, body in enumerate(bodies):
            if (accepted := await post(open_app, channels[index % 2], body)) is not None:
                told.append(accepted)
                await auntil(lambda: len(stream.events) > len(told), "it has come")
        await read(stream, told)
        last = {channel: [one["id"] for one in told if one["channel"] == channel][-1:] for channel in channels}
        cursor = stream.events[-1].last_event_id.split(".")
        for channel, position in zip(channels, cursor, strict=True):
            assert last[channel] in ([], [position])


@EASY
@given(channel=some.channels, sub=names, key=st.binary(max_size=20), data=some.texts)
async def test_nor_by_a_subject_or_a_header(keyed: RunningApp, channel: str, sub: str, key: bytes, data: str) -> None:
    reader = bearer(Secret().sign(claims_of(time.time())))
    sender: dict[str, Any] = bearer(Secret().sign(claims_of(time.time(), sub=sub)))
    async with keyed.live(f"/channels/{channel}/stream", reader) as stream:
        await stream.until("hello")
        accepted = await post(keyed, channel, {"data": data}, {**sender, "Idempotency-Key": key})
        told = [] if accepted is None else [accepted]
        for one in await read(stream, told):
            assert (one["user"], one["data"]) == (sub, data)


@EASY
@given(name=some.texts | st.text(max_size=70))
async def test_a_channel_is_its_name_or_none(open_app: RunningApp, name: str) -> None:
    """What is no name is refused everywhere, and is in nobody's stream."""
    good = name.isascii() and name.replace("_", "a").replace(".", "a").replace(":", "a").replace("-", "a").isalnum()
    good = good and len(name) <= 64 and name[0].isalnum()
    query = httpx.QueryParams({"channel": name, "history": 1})
    async with open_app.live(f"/stream?{query}") as stream:
        await auntil(lambda: stream.status, "an answer")
        if "," not in name:
            assert stream.status == (200 if good else 422)


async def test_history_is_the_same_bytes(open_app: RunningApp) -> None:
    body = {"data": FORGED, "user": "a\u2028b", "localId": '"}],"oldest":'}
    async with open_app.live("/channels/a/stream") as stream:
        await stream.until("hello")
        told = await post(open_app, "a", body)
        (one,) = await read(stream, [told])
    page = (await open_app.client.get("/channels/a/messages")).json()
    assert page["messages"] == [one]
    assert page["latest"] == told["id"]
