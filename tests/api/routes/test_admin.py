"""What an administrator may do, on every kind of store: see which channels there are, and end one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.testkit.app_fixture import RunningApp, bearer, events, of_kind, running_app
from tests.testkit.cluster import Cluster, start_cluster
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.upstash import UpstashEmulator
from tests.testkit.valkey import Valkey

STORES = ("single", "cluster", "upstash")


@dataclass
class Place:
    """A service on one of the stores, and the servers under it."""

    running_app: RunningApp
    servers: list[Valkey]

    def keys(self, pattern: str) -> list[str]:
        return sorted(key for server in self.servers for key in server.cli("KEYS", pattern))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@asynccontextmanager
async def on_single(request: pytest.FixtureRequest, settings: dict[str, Any]) -> AsyncIterator[Place]:
    valkey: Valkey = request.getfixturevalue("valkey")
    async with running_app(valkey.url, **settings) as found:
        yield Place(found, [valkey])


@asynccontextmanager
async def on_cluster(request: pytest.FixtureRequest, settings: dict[str, Any]) -> AsyncIterator[Place]:
    cluster: Cluster = request.getfixturevalue("cluster")
    for node in cluster.nodes:
        node.flush()
    async with running_app(cluster.url, **settings) as found:
        yield Place(found, cluster.nodes)


@asynccontextmanager
async def on_upstash(request: pytest.FixtureRequest, settings: dict[str, Any]) -> AsyncIterator[Place]:
    valkey: Valkey = request.getfixturevalue("valkey")
    async with (
        UpstashEmulator(valkey.url) as up,
        running_app(None, upstash_url=up.url, upstash_token=up.token, **settings) as found,
    ):
        yield Place(found, [valkey])


OPEN: dict[str, Callable[..., Any]] = {"single": on_single, "cluster": on_cluster, "upstash": on_upstash}


@pytest.fixture(params=STORES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """The service on each store; streams live until they are left."""
    async with OPEN[request.param](request, {"jwt_secret": SECRET, "lifetime": 300}) as place:
        yield place


@pytest.fixture
async def found(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        yield found


def admin() -> dict[str, str]:
    claims = claims_of(time.time())
    return bearer(Secret().sign(claims | {"gapless": {**claims["gapless"], "admin": True}}))


async def post(found: RunningApp, channel: str, data: Any, **more: Any) -> dict[str, Any]:
    reply = await found.client.post(f"/channels/{channel}/messages", json={"data": data, **more}, headers=admin())
    assert reply.is_success, reply.text
    return dict(reply.json())


async def delete(found: RunningApp, channel: str) -> None:
    reply = await found.client.delete(f"/channels/{channel}", headers=admin())
    assert (reply.status_code, reply.content) == (204, b"")


async def pages(found: RunningApp) -> list[list[dict[str, Any]]]:
    """The list of channels, page by page."""
    cursor, read = "0", []
    while cursor is not None:
        reply = await found.client.get("/channels", params={"cursor": cursor}, headers=admin())
        assert reply.status_code == 200, reply.text
        read.append(reply.json()["channels"])
        cursor = reply.json()["next"]
    return read


# --- DELETE /channels/{channel}


async def test_a_deleted_channel_is_gone_and_its_readers_are_told(place: Place) -> None:
    found = place.running_app
    first = [await post(found, "a", number, localId=f"id {number}") for number in range(3)]
    others = [await post(found, name, 1, localId="id 0") for name in ("ab", "a.b", "b")]
    assert (await post(found, "a", 0, localId="id 0"))["duplicate"]
    async with found.live("/channels/a/stream?history=1", admin()) as reader:
        await reader.until("message")
        await delete(found, "a")
        (gap,) = await reader.until("gap", alarm=20)
        assert gap == {"channel": "a", "reason": "reset", "missed": None, "oldest": None, "latest": None}
        assert place.keys("gapless:{a}:log") == []
        again = await post(found, "a", "new content", localId="id 0")
        _, new = await reader.until("message", 2)
    assert new["id"] == again["id"]
    assert again["id"].split("-")[0] != first[0]["id"].split("-")[0]
    assert again["id"].split("-")[1] == "1"
    kept = (await found.client.get("/channels/a/messages", headers=admin())).json()["messages"]
    assert [one["data"] for one in kept] == ["new content"]
    for name, other in zip(("ab", "a.b", "b"), others, strict=True):
        kept = (await found.client.get(f"/channels/{name}/messages", headers=admin())).json()["messages"]
        assert [one["id"] for one in kept] == [other["id"]]
        assert (await post(found, name, 1, localId="id 0"))["duplicate"], "their keys are remembered"


async def test_a_new_beginning_is_told_before_its_first_message(place: Place) -> None:
    found = place.running_app
    last = await post(found, "a", 1)
    async with found.live("/channels/a/stream", {**admin(), "Last-Event-ID": last["id"]}) as reader:
        await reader.until("hello")
        await delete(found, "a")
        again = await post(found, "a", 2)
        await reader.until("message", alarm=20)
        kinds = [event.type for event in reader.events]
        assert kinds == ["hello", "gap", "message"]
        assert [event.last_event_id for event in reader.events][-1] == again["id"]
    late = {**admin(), "Last-Event-ID": last["id"]}
    async with found.live("/channels/a/stream", late) as reader:
        (gap,) = await reader.until("gap")
        assert (gap["reason"], gap["oldest"]) == ("reset", again["id"])
        await reader.until("message")


async def test_what_is_not_there_is_deleted_too(found: RunningApp, valkey: Valkey) -> None:
    await delete(found, "nothing")
    await post(found, "a", 1)
    await delete(found, "a")
    await delete(found, "a")
    left = valkey.cli("KEYS", "gapless:{a}:*")
    assert [key for key in left if ":rate:" not in key] == []
    assert all(valkey.cli("PTTL", key) > 0 for key in left)


async def test_even_a_log_that_something_else_wrote(found: RunningApp, valkey: Valkey) -> None:
    valkey.cli("SET", "gapless:{a}:log", "not ours")
    broken = await found.client.get("/channels/a/messages", headers=admin())
    assert broken.status_code == 503
    await delete(found, "a")
    assert (await post(found, "a", 1))["id"]


async def test_a_channel_is_one_by_its_whole_name(found: RunningApp) -> None:
    for name in ("a*", "%2A", "a%0A", "{a}", "a b", ".a"):
        reply = await found.client.delete(f"/channels/{name}", headers=admin())
        assert reply.status_code == 422, name


# --- GET /channels


async def test_every_channel_is_listed(place: Place) -> None:
    found = place.running_app
    told = {}
    for number in range(30):
        for _ in range(1 + number % 3):
            told[f"c{number}"] = await post(found, f"c{number}", 1, localId=f"id {time.perf_counter_ns()}")
    listed = {one["channel"]: one for page in await pages(found) for one in page}
    assert listed == {
        f"c{number}": {
            "channel": f"c{number}",
            "messages": 1 + number % 3,
            "latest": told[f"c{number}"]["id"],
            "timestamp": told[f"c{number}"]["timestamp"],
        }
        for number in range(30)
    }


async def test_many_come_in_pages(found: RunningApp, valkey: Valkey) -> None:
    await post(found, "c", 1)
    entry = valkey.cli("LINDEX", "gapless:{c}:log", -1)
    for number in range(700):
        valkey.cli("RPUSH", f"gapless:{{c{number}}}:log", entry)
    read = await pages(found)
    assert len(read) > 2
    assert all(len(page) <= 400 for page in read), "SCAN may give somewhat more than it was asked for"
    assert {one["channel"] for page in read for one in page} == {"c"} | {f"c{number}" for number in range(700)}


async def test_only_channels_are_listed(found: RunningApp, valkey: Valkey) -> None:
    await post(found, "a", 1, localId="id")
    for key in ("gapless:{b}:log", "gapless:{c}:key:log", "other:{d}:log", "gapless:e:log"):
        valkey.cli("SET", key, "not ours")
    valkey.cli("RPUSH", "gapless:{f}:log", "not ours")
    assert [one["channel"] for page in await pages(found) for one in page] == ["a"]


async def test_none_is_an_empty_page(found: RunningApp) -> None:
    reply = await found.client.get("/channels", headers=admin())
    assert reply.json() == {"channels": [], "next": None}


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "9" * 21, str(2**64), "99999999999999999999", "1\0"])
async def test_a_cursor_that_is_none_is_refused(found: RunningApp, cursor: str) -> None:
    reply = await found.client.get("/channels", params={"cursor": cursor}, headers=admin())
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")


async def test_any_number_is_answered(found: RunningApp) -> None:
    for cursor in (1, 12345, 2**63, 2**64 - 1):
        assert (await found.client.get(f"/channels?cursor={cursor}", headers=admin())).status_code == 200


async def test_an_administrator_without_channels_administers_and_reads_nothing(found: RunningApp) -> None:
    only = bearer(Secret().sign(claims_of(time.time()) | {"gapless": {"admin": True}}))
    assert (await found.client.get("/channels", headers=only)).status_code == 200
    assert (await found.client.delete("/channels/a", headers=only)).status_code == 204
    assert (await found.client.get("/channels/a/messages", headers=only)).status_code == 403
    assert (await found.client.post("/channels/a/messages", json={"data": 1}, headers=only)).status_code == 403


async def test_the_end_of_the_stream_is_not_its_channels_end(found: RunningApp) -> None:
    """A deletion ends no stream by itself."""
    body = (await found.client.get("/channels/a/stream", headers=admin())).content
    assert of_kind(events(body), "end") == ['{"reason":"deadline"}']
