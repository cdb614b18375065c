"""GET /channels/{channel}/stream and GET /stream: where a stream begins, what it looks like, and what is refused."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.conftest import assert_well
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, events, of_kind, running_app, virtual_app
from tests.testkit.clock import running_loop
from tests.testkit.event_stream import Event
from tests.testkit.valkey import Valkey

ONE, MANY = "/channels/a/stream", "/stream?channel=a"
BOTH = pytest.mark.parametrize("path", [ONE, MANY], ids=["one channel", "by query"])


@pytest.fixture
async def served(valkey: Valkey) -> AsyncIterator[RunningApp]:
    """The service with its defaults, whose streams outlast whatever the machine does meanwhile. It is well after."""
    async with running_app(valkey.url, lifetime=60) as served:
        yield served
        await assert_well(served)


async def publish(served: RunningApp, *data: Any, channel: str = "a") -> list[str]:
    reply = await served.client.post(f"/channels/{channel}/messages", json=[{"data": one} for one in data])
    return [one["id"] for one in reply.raise_for_status().json()]


async def read(served: RunningApp, path: str, *, header: str | None = None, **query: Any) -> list[Event]:
    """All that a stream has to bring at first: it says when that is all, and is left there."""
    headers = {} if header is None else {"Last-Event-ID": header}
    async with served.live(str(httpx.URL(path).copy_merge_params({**query, "live": 1})), headers) as stream:
        await stream.until("live")
        return [event for event in stream.events if event.type != "live"]


def data(read: list[Event]) -> list[Any]:
    return [json.loads(told)["data"] for told in of_kind(read, "message")]


# What it looks like


@BOTH
@pytest.mark.virtual_time
async def test_a_whole_stream_byte_by_byte(path: str) -> None:
    async with virtual_app(lifetime=10, namespaces={"a": {}}) as found:
        posted = await found.client.post("/channels/a/messages", json={"data": {"text": "hé\u2028\n"}})
        reply = await found.client.get(httpx.URL(path).copy_merge_params({"history": 1}))
    id_ = posted.json()["id"]
    hello, message, end, rest = reply.content.decode().split("\n\n")
    assert rest == ""
    assert re.fullmatch(r"retry: 700\nid: \w{8}-0-0\nevent: hello\ndata: {.*}", hello)
    said = json.loads(hello.partition("data: ")[2])
    assert list(said) == ["cursor", "channels", "heartbeat", "lifetime", "mode"]
    assert (said["channels"], said["heartbeat"], said["mode"]) == (["a"], 15, "streaming")
    assert said["cursor"] == re.findall("id: (.*)", hello)[0]
    assert 8 <= said["lifetime"] <= 10
    assert re.fullmatch(
        rf'id: {id_}\ndata: {{"id":"{id_}","channel":"a","event":"message","user":null,'
        r'"data":{"text":"hé\\u2028\\n"},"localId":null,"timestamp":"[0-9T:.-]{23}Z"}',
        message,
    )
    assert end == 'event: end\ndata: {"reason":"deadline"}'


async def test_an_event_has_its_name(served: RunningApp) -> None:
    await served.client.post(
        "/channels/a/messages", json={"data": 1, "event": "chat.said", "user": "ann", "localId": "x"}
    )
    [_, event] = await read(served, ONE, history=1)
    told = json.loads(event.data)
    assert (event.type, told["event"], told["user"], told["localId"]) == ("chat.said", "chat.said", "ann", "x")


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_headers(path: str, method: str, valkey: Valkey) -> None:
    async with running_app(valkey.url) as served:
        reply = await served.client.request(method, path)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    # A proxy that may transform compresses, and holds back what it has until there is enough of it.
    assert reply.headers["cache-control"] == "no-store, no-transform"
    assert reply.headers["x-accel-buffering"] == "no"
    assert bool(reply.content) == (method == "GET")


@pytest.mark.virtual_time
async def test_heartbeats_are_a_comment_and_nothing_more() -> None:
    async with virtual_app(heartbeat=15, lifetime=100) as found:
        began = running_loop().time()
        content = (await found.client.get(ONE)).content
        lived = running_loop().time() - began
    body = content.partition(b"\n\n")[2].partition(b"event: end")[0]
    assert body == b":\n" * int(lived / 15)
    assert 80 <= lived <= 100


@pytest.mark.virtual_time
async def test_a_visible_heartbeat() -> None:
    async with virtual_app(heartbeat=15, lifetime=100) as found:
        told = events((await found.client.get(ONE, params={"beat": "visible"})).content)
    beats = [event.data for event in told if event.type == "beat"]
    assert beats in (["{}"] * 5, ["{}"] * 6)


@pytest.mark.virtual_time
async def test_settings_of_a_stream() -> None:
    async with virtual_app(retry_ms=1234, heartbeat=2.5, lifetime=100) as found:
        content = (await found.client.get(ONE)).content
    said = json.loads(of_kind(events(content), "hello")[0])
    assert content.startswith(b"retry: 1234\n")
    assert said["heartbeat"] == 2.5
    assert 80 <= said["lifetime"] <= 100


# Where it begins


async def test_now(served: RunningApp) -> None:
    ids = await publish(served, 1, 2)
    hello, *rest = await read(served, ONE)
    assert (hello.last_event_id, data(rest)) == (ids[-1], [])


async def test_in_order_of_precedence(served: RunningApp) -> None:
    """The header, which a browser sends when it comes back; then `lastEventId`, which polyfills add to the query that
    they keep (docs/protocol.md, 3.1); then `after`; then `history`."""
    ids = await publish(served, 0, 1, 2, 3, 4)
    later = {"after": ids[2], "lastEventId": ids[1], "history": 5}
    assert data(await read(served, ONE, header=ids[3], **later)) == [4]
    for path in (ONE, MANY):
        assert data(await read(served, path, **later)) == [2, 3, 4]
    assert data(await read(served, ONE, after=ids[1], history=5)) == [2, 3, 4]
    assert data(await read(served, ONE, history=5)) == [0, 1, 2, 3, 4]


async def test_what_is_empty_counts_as_absent(served: RunningApp) -> None:
    ids = await publish(served, 0, 1, 2)
    assert data(await read(served, ONE, header="", after=ids[1])) == [2]
    assert data(await read(served, ONE, header="", after="", lastEventId=ids[0])) == [1, 2]
    assert data(await read(served, ONE, lastEventId="", after=ids[0])) == [1, 2]
    assert data(await read(served, ONE, header="", after="", lastEventId="", history=1)) == [2]
    hello, *rest = await read(served, ONE, header="", after="")
    assert (hello.last_event_id, data(rest)) == (ids[-1], [])


@pytest.mark.parametrize(
    ("history", "expected"), [(0, []), (1, [4]), (3, [2, 3, 4]), (5, [0, 1, 2, 3, 4]), (200, None)]
)
async def test_the_last_so_many(history: int, expected: list[int] | None, served: RunningApp) -> None:
    await publish(served, *range(5))
    assert data(await read(served, ONE, history=history)) == (list(range(5)) if expected is None else expected)


async def test_the_last_so_many_beyond_what_a_read_returns(served: RunningApp) -> None:
    for start in (0, 100, 200):
        await publish(served, *range(start, start + 100))
    async with served.live(f"{ONE}?history=200") as stream:
        got = await stream.until("message", 200)
    assert [message["data"] for message in got] == list(range(100, 300))


async def test_many_channels(served: RunningApp) -> None:
    a, b = await publish(served, "a1", "a2"), await publish(served, "b1", "b2", channel="b")
    path = "/stream?channel=b&channel=a"
    hello, *rest = await read(served, path, history=1)
    assert json.loads(hello.data)["channels"] == ["b", "a"]
    assert hello.last_event_id == f"{b[0]}.{a[0]}"
    assert sorted(data(rest)) == ["a2", "b2"]
    assert rest[-1].last_event_id == f"{b[1]}.{a[1]}"
    assert data(await read(served, path, header=f"{b[0]}.{a[1]}")) == ["b2"]


async def test_channels_may_be_listed_with_commas(served: RunningApp) -> None:
    hello, *_ = await read(served, "/stream?channel=a,b&channel=c")
    assert json.loads(hello.data)["channels"] == ["a", "b", "c"]


async def test_sixteen_channels(served: RunningApp) -> None:
    hello, *_ = await read(served, "/stream?" + "&".join(f"channel=c{n}" for n in range(16)))
    assert len(hello.last_event_id.split(".")) == 16


# What may be asked for beside (docs/protocol.md, 3.9 to 3.12)


@BOTH
@pytest.mark.parametrize("name", ["after", "lastEventId"])
async def test_from_the_start(path: str, name: str, served: RunningApp) -> None:
    ids = await publish(served, 0, 1, 2)
    hello, *rest = await read(served, path, **{name: "start"})
    assert (hello.last_event_id, data(rest)) == (f"{ids[0][:8]}-0-0", [0, 1, 2])
    assert data(await read(served, path, header=ids[1], **{name: "start"})) == [2], "it yields to a header"
    gap = of_kind(await read(served, path, header="start"), "gap")[0]
    assert json.loads(gap)["reason"] == "unknown", "it is no id"


@BOTH
async def test_live(path: str, served: RunningApp) -> None:
    ids = await publish(served, 0, 1, 2)
    url = str(httpx.URL(path).copy_merge_params({"history": 2, "live": 1}))
    async with served.live(url) as stream:
        assert await stream.until("live") == [{"cursor": ids[2]}]
        assert [event.type for event in stream.events] == ["hello", "message", "message", "live"]


@BOTH
async def test_a_turn_where_the_platform_could_stream(path: str, valkey: Valkey) -> None:
    async with running_app(valkey.url, lifetime=240) as served:
        ids = await publish(served, 0, 1, 2)
        turn = {"mode": "buffered", "beat": "visible"}
        reply = await served.client.get(httpx.URL(path).copy_merge_params({**turn, "history": 2}))
        assert reply.headers["cache-control"] == "no-store", "it is whole: a proxy may compress it"
        found = events(reply.content)
        assert [event.type for event in found] == ["hello", "message", "message", "end"]
        said = json.loads(found[0].data)
        assert said["mode"] == "buffered"
        assert 16 <= said["lifetime"] <= 20, "whatever GAPLESS_LIFETIME says"
        url, headers = httpx.URL(path).copy_merge_params({"mode": "buffered"}), {"Last-Event-ID": ids[2]}
        again = asyncio.create_task(served.client.get(url, headers=headers))
        await publish(served, 3)
        assert data(events((await again).content)) == [3]


# What is refused

REFUSED = {
    "no channel": ("/stream", "channel"),
    "an empty channel": ("/stream?channel=", "is no channel"),
    "17 channels": ("/stream?" + "&".join(f"channel=c{n}" for n in range(17)), "17 were named"),
    "17 channels with commas": ("/stream?channel=" + ",".join(f"c{n}" for n in range(17)), "17 were named"),
    "a channel twice": ("/stream?channel=a&channel=b&channel=a", "^Name each channel once"),
    "a channel twice with commas": ("/stream?channel=a,a", "^Name each channel once"),
    "a channel of 65": ("/stream?channel=" + "x" * 65, "is no channel"),
    "a line break": ("/stream?channel=a%0A", "is no channel"),
    "a space": ("/stream?channel=a%20b", "is no channel"),
    "a bad one of two": ("/stream?channel=a&channel=-b", "'-b' is no channel"),
    "a bad channel": ("/channels/-a/stream", "channel: "),
    "a long channel": ("/channels/" + "x" * 65 + "/stream", "channel: "),
    "history 201": (f"{ONE}?history=201", "history: "),
    "history -1": (f"{ONE}?history=-1", "history: "),
    "history all": (f"{ONE}?history=all", "history: "),
    "another mode": (f"{ONE}?mode=quick", "mode: .*'buffered'"),
    "another beat": (f"{MANY}&beat=loud", "beat: .*'visible'"),
    "live or dead": (f"{ONE}?live=dead", "live: "),
    "history 201 of many": (f"{MANY}&history=201", "history: "),
}


@pytest.mark.parametrize(("path", "detail"), REFUSED.values(), ids=REFUSED)
async def test_what_can_never_work(path: str, detail: str, refusing: RunningApp) -> None:
    assert_problem(await refusing.client.get(path), 422, detail)


async def test_other_methods(served: RunningApp) -> None:
    for path in (ONE, "/stream"):
        reply = await served.client.post(path)
        assert_problem(reply, 405, "it takes GET, HEAD")
        assert reply.headers["allow"] == "GET, HEAD"
