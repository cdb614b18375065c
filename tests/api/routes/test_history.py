"""GET /channels/{channel}/messages: history, paging and long poll."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from gapless.delivery.mode import Mode
from gapless.platforms.policy import SERVER
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, of_kind, running_app
from tests.testkit.valkey import Valkey

PATH = "/channels/general/messages"
STREAM = "/channels/general/stream"
Page = dict[str, Any]


async def publish(served: RunningApp, *data: Any) -> list[str]:
    """The ids, in order; posted in batches, or one by one where they are large."""
    ids: list[str] = []
    by = 20 if len(json.dumps(data)) < 100_000 else 1
    for start in range(0, len(data), by):
        reply = await served.client.post(PATH, json=[{"data": one} for one in data[start : start + by]])
        ids += [one["id"] for one in reply.raise_for_status().json()]
    return ids


async def read(served: RunningApp, **query: Any) -> Page:
    """A page, whose own members agree with each other."""
    reply = await served.client.get(PATH, params=query)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    page: Page = reply.json()
    assert list(page) == ["messages", "oldest", "latest", "cursor", "gap"]
    ids = [message["id"] for message in page["messages"]]
    assert (page["oldest"], page["latest"]) == ((ids[0], ids[-1]) if ids else (None, None))
    if "before" in query:
        assert page["cursor"] is None
    elif ids:
        assert page["cursor"] == ids[-1]
    return page


def data(page: Page) -> list[Any]:
    return [message["data"] for message in page["messages"]]


@pytest.fixture(params=["cold", "warm"])
async def anyhow(request: pytest.FixtureRequest, valkey: Valkey) -> AsyncIterator[RunningApp]:
    """The service where no feed outlives a request, and where one knows the channel all the time."""
    async with running_app(valkey.url, linger=60.0 if request.param == "warm" else 0.0, rate=0) as served:
        if request.param == "warm":
            await served.first(STREAM, "hello")
        yield served


# Pages


async def test_an_empty_channel(anyhow: RunningApp) -> None:
    page = await read(anyhow)
    assert (page["messages"], page["gap"]) == ([], None)
    assert page["cursor"].endswith("-0-0")
    assert await read(anyhow, after=page["cursor"]) == page


@pytest.mark.parametrize("limit", [1, 2, 50, 200])
async def test_the_newest(anyhow: RunningApp, limit: int) -> None:
    await publish(anyhow, *range(60))
    assert data(await read(anyhow, limit=limit)) == list(range(60))[-limit:]


async def test_fifty_if_nothing_is_said(anyhow: RunningApp) -> None:
    await publish(anyhow, *range(60))
    assert data(await read(anyhow)) == list(range(10, 60))


def large(count: int) -> list[str]:
    """Messages of 60,000 bytes: nine to a page."""
    return [f"{number}".ljust(60_000, ".") for number in range(count)]


PAGED = {
    # 64 entries is what one read of the log returns, with messages of up to 128 KiB.
    "more than a read returns": (list(range(300)), 200, 200),
    "small pages": (list(range(100)), 7, 7),
    "more than 512 KiB": (large(30), 200, 8),
}


@pytest.mark.parametrize(("sent", "limit", "most"), PAGED.values(), ids=PAGED)
async def test_back_and_forth(anyhow: RunningApp, sent: list[Any], limit: int, most: int) -> None:
    """From the newest page to the first message, and from there to the newest again: everything, once each way."""
    ids = await publish(anyhow, *sent)
    pages = [await read(anyhow, limit=limit)]
    while pages[-1]["oldest"] != ids[0]:
        pages.append(await read(anyhow, limit=limit, before=pages[-1]["oldest"]))
    assert [one for page in reversed(pages) for one in data(page)] == sent
    assert all(len(page["messages"]) == most for page in pages[:-1])
    assert (await read(anyhow, limit=limit, before=ids[0]))["messages"] == []
    back, cursor = [sent[0]], ids[0]
    while cursor != ids[-1]:
        page = await read(anyhow, limit=limit, after=cursor)
        assert 1 <= len(page["messages"]) <= most
        assert page["gap"] is None
        back, cursor = back + data(page), page["cursor"]
    assert back == sent
    assert (await read(anyhow, limit=limit, after=cursor))["messages"] == []


async def test_a_page_ends_at_512_kib(anyhow: RunningApp) -> None:
    await publish(anyhow, *large(12))
    for query in ({}, {"limit": 200}):
        reply = await anyhow.client.get(PATH, params=query)
        assert len(reply.content) <= 524_288


async def test_where_replies_are_handed_over_whole_a_page_passes_a_load_balancer(valkey: Valkey) -> None:
    """It takes 1 MiB of JSON in which a letter of two bytes may become six; a page of 512 KiB did not pass."""
    policy = SERVER._replace(mode=Mode.BUFFERED)
    async with running_app(valkey.url, policy=policy, rate=0) as served:
        ids = await publish(served, *("é" * 20_000 for _ in range(12)), "é" * 65_000)
        queries: list[dict[str, Any]] = [
            {},
            {"before": ids[-1]},
            {"before": ids[-2]},
            {"after": ids[0]},
            {"after": ids[-2]},
        ]
        for query in queries:
            reply = await served.client.get(PATH, params={"limit": 200, **query})
            assert 1 <= len(reply.json()["messages"]) <= 4
            assert len(json.dumps({"body": reply.text})) < 1_048_576


async def test_a_single_message_may_be_larger_than_a_page(valkey: Valkey) -> None:
    async with running_app(valkey.url, max_body=1_048_576) as served:
        ids = await publish(served, "a" * 600_000, "b" * 600_000, "c")
        for query, sizes in (
            ({"limit": 2}, [1]),
            ({"before": ids[2]}, [600_000]),
            ({"before": ids[1]}, [600_000]),
            ({"after": ids[0]}, [600_000]),
            ({"after": ids[1]}, [1]),
        ):
            assert [len(one) for one in data(await read(served, **query))] == sizes


# Gaps


async def test_trimmed(valkey: Valkey) -> None:
    async with running_app(valkey.url, cap=20) as served:
        ids = await publish(served, *range(60))
        kept = valkey.cli("LLEN", "gapless:{general}:log")
        page = await read(served, after=ids[9], limit=200)
        assert data(page) == list(range(60 - kept, 60))
        gap = {"channel": "general", "reason": "trimmed", "missed": 60 - kept - 10}
        assert page["gap"] == {**gap, "oldest": ids[-kept], "latest": ids[-1]}
        assert (await read(served, before=ids[9]))["messages"] == []
        newest = await read(served, limit=200)
        assert (data(newest), newest["gap"]) == (data(page), None)


async def test_a_position_of_another_history(served: RunningApp) -> None:
    ids = await publish(served, *range(3))
    other = ids[1][:-4] + "zzzz"
    for wrong in (other, "00000000-2-abcd"):
        for query in ({"after": wrong}, {"before": wrong}):
            page = await read(served, **query)
            assert (page["gap"]["reason"], page["gap"]["missed"]) == ("reset", None)
            assert (page["gap"]["oldest"], page["gap"]["latest"]) == (ids[0], ids[-1])
            assert data(page) == (list(range(3)) if "after" in query else [])


@pytest.mark.parametrize("garbage", ["x", "t9x2k0ab-1", "t9x2k0ab-1-abcd.t9x2k0ab-1-abcd", "é", "a b", "0" * 500])
async def test_a_position_that_cannot_be_read(garbage: str, served: RunningApp) -> None:
    ids = await publish(served, *range(3))
    page = await read(served, after=garbage)
    assert (page["gap"]["reason"], data(page), page["cursor"]) == ("unknown", [0, 1, 2], ids[-1])
    again = await read(served, after=garbage, limit=2)
    assert data(again) == [0, 1]


# Long poll


@pytest.mark.parametrize("start", ["empty", "after one"])
async def test_a_long_poll_returns_as_soon_as_there_is_one(anyhow: RunningApp, start: str) -> None:
    if start == "after one":
        await publish(anyhow, 0)
    after = (await read(anyhow))["cursor"]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        polls = [group.create_task(read(anyhow, after=after, wait=25)) for _ in range(3)]
        await publish(anyhow, "news")
    assert [data(poll.result()) for poll in polls] == [["news"]] * 3


async def test_a_long_poll_that_finds_something_does_not_wait(anyhow: RunningApp) -> None:
    ids = await publish(anyhow, *range(3))
    async with asyncio.timeout(10):
        assert data(await read(anyhow, after=ids[0], wait=25)) == [1, 2]


async def test_a_long_poll_that_waits_in_vain(anyhow: RunningApp) -> None:
    [id_] = await publish(anyhow, 0)
    began = asyncio.get_running_loop().time()
    page = await read(anyhow, after=id_, wait=0.3)
    assert asyncio.get_running_loop().time() - began >= 0.3
    assert (page["messages"], page["cursor"], page["gap"]) == ([], id_, None)


async def test_a_long_poll_that_does_not_wait_at_all(anyhow: RunningApp) -> None:
    [id_] = await publish(anyhow, 0)
    assert (await read(anyhow, after=id_, wait=0))["messages"] == []


async def test_long_polls_from_one_to_the_next_miss_nothing(anyhow: RunningApp) -> None:
    cursor, got = (await read(anyhow))["cursor"], []
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        group.create_task(publish_singly(anyhow, 50))
        while len(got) < 50:
            page = await read(anyhow, after=cursor, wait=25, limit=3)
            got, cursor = got + data(page), page["cursor"]
    assert got == list(range(50))


async def publish_singly(served: RunningApp, count: int) -> None:
    for number in range(count):
        await publish(served, number)


# The ids of stream, long poll and history are the same


async def test_from_the_start(anyhow: RunningApp) -> None:
    """docs/protocol.md, 3.9 and 4.1."""
    poll = asyncio.create_task(read(anyhow, after="start", wait=25))
    await publish(anyhow, 0)
    assert data(await poll) == [0]
    await publish(anyhow, 1, 2)
    page = await read(anyhow, after="start", limit=2)
    assert data(page) == [0, 1]
    assert data(await read(anyhow, after=page["cursor"])) == [2]


async def test_from_the_start_of_a_trimmed_log(valkey: Valkey) -> None:
    async with running_app(valkey.url, cap=20) as served:
        await publish(served, *range(60))
        page = await read(served, after="start")
        assert page["gap"]["missed"] + len(page["messages"]) == 60
        assert page["gap"]["reason"] == "trimmed"


async def by_stream(served: RunningApp, after: str) -> list[Page]:
    return [json.loads(told) for told in of_kind(await served.whole(f"{STREAM}?after={after}"), "message")]


async def by_history(served: RunningApp, after: str) -> list[Page]:
    found: list[Page] = (await read(served, after=after))["messages"]
    return found


async def by_long_poll(served: RunningApp, after: str) -> list[Page]:
    found: list[Page] = (await read(served, after=after, wait=5))["messages"]
    return found


WAYS: list[Callable[[RunningApp, str], Awaitable[list[Page]]]] = [by_stream, by_history, by_long_poll]


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
async def test_a_client_may_move_between_them(
    anyhow: RunningApp,
    first: Callable[[RunningApp, str], Awaitable[list[Page]]],
    second: Callable[[RunningApp, str], Awaitable[list[Page]]],
) -> None:
    start = (await read(anyhow))["cursor"]
    await publish(anyhow, 0, 1, 2)
    seen = await first(anyhow, start)
    await publish(anyhow, 3, 4)
    seen += await second(anyhow, seen[-1]["id"])
    assert [message["data"] for message in seen] == [0, 1, 2, 3, 4]
    assert seen == (await read(anyhow))["messages"]


async def test_the_cursors_of_hello_and_of_pages_are_positions_alike(anyhow: RunningApp) -> None:
    await publish(anyhow, 0)
    [hello] = of_kind(await anyhow.whole(STREAM), "hello")
    page = await read(anyhow)
    assert json.loads(hello)["cursor"] == page["cursor"]
    await publish(anyhow, 1)
    assert [m["data"] for m in await by_stream(anyhow, page["cursor"])] == [1]
    assert data(await read(anyhow, after=json.loads(hello)["cursor"])) == [1]


# What is refused

REFUSED = {
    "limit 0": ({"limit": 0}, "^query.limit: "),
    "limit 201": ({"limit": 201}, "limit: "),
    "limit -1": ({"limit": -1}, "limit: "),
    "limit many": ({"limit": "many"}, "limit: "),
    "no limit": ({"limit": ""}, "limit: "),
    "limit 1.5": ({"limit": 1.5}, "limit: "),
    "limit 10^30": ({"limit": 10**30}, "limit: "),
    "before with after": ({"before": "t9x2k0ab-1-abcd", "after": "t9x2k0ab-1-abcd"}, "exclude each other"),
    "wait alone": ({"wait": 1}, "^wait goes with after"),
    "wait 0 alone": ({"wait": 0}, "^wait goes with after"),
    "wait with before": ({"wait": 1, "before": "t9x2k0ab-1-abcd"}, "^wait goes with after"),
    "wait with an empty after": ({"wait": 1, "after": ""}, "^wait goes with after"),
    **{f"wait {wait}": ({"wait": wait, "after": "x"}, "wait: ") for wait in (-1, 25.1, "nan", "inf", "long", "")},
    **{f"before {id_}": ({"before": id_}, "before is not the id") for id_ in ("x", "t9x2k0ab-0-0", "t9x2k0-0-0", "é")},
}


@pytest.mark.parametrize(("query", "detail"), REFUSED.values(), ids=REFUSED)
async def test_what_can_not_be_asked(query: dict[str, Any], detail: str, refusing: RunningApp) -> None:
    assert_problem(await refusing.client.get(PATH, params=query), 422, detail)


@pytest.mark.parametrize("channel", ["x" * 65, "-a", "a%20b", "a%0A"])
async def test_what_is_no_channel(channel: str, refusing: RunningApp) -> None:
    assert_problem(await refusing.client.get(f"/channels/{channel}/messages"), 422, "channel: ")


async def test_empty_queries_are_none(served: RunningApp) -> None:
    await publish(served, 0)
    assert data(await read(served, after="")) == [0]
    reply: httpx.Response = await served.client.get(PATH, params={"before": "", "after": ""})
    assert data(reply.json()) == [0]


async def test_without_a_store() -> None:
    queries: list[dict[str, str]] = [{}, {"after": "t9x2k0ab-1-abcd"}, {"after": "x"}, {"before": "t9x2k0ab-1-abcd"}]
    async with running_app("unix:///nowhere/at/all") as served:
        for reply in await asyncio.gather(*(served.client.get(PATH, params=query) for query in queries)):
            assert_problem(reply, 503, "^The message store does not answer now")
            assert reply.headers["retry-after"] == "2"
