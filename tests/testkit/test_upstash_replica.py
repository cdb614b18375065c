"""A late replica, sync tokens, Upstash's own SDK, and the emulator as a process."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from upstash_redis.asyncio import Redis as UpstashRedis
from upstash_redis.errors import UpstashError

from tests.testkit.alarm import auntil
from tests.testkit.rest import ALARM, EVENTS, ask, client, refused, subscribed
from tests.testkit.upstash import EmulatorProcess, UpstashEmulator
from tests.testkit.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOCKED = "#!lua flags=allow-key-locking\n"


def digest(script: str) -> str:
    return sha1(script.encode()).hexdigest()


# --- a replica that is late, and the sync token


@pytest.fixture(scope="module")
async def lagging_server(valkey_server: Valkey) -> AsyncIterator[UpstashEmulator]:
    async with UpstashEmulator(valkey_server.url, replica=True) as emulator:
        yield emulator


@pytest.fixture
async def lagging(valkey: Valkey, lagging_server: UpstashEmulator) -> AsyncIterator[UpstashEmulator]:
    """An emulator whose replica (a second to start, so one for all) is empty and up to date."""
    await lagging_server.wait_replica()
    yield lagging_server
    lagging_server.faults.disarm()
    lagging_server.faults.hits.clear()
    lagging_server.reset_counts()


async def test_the_sync_token_moves_with_each_write(http: httpx.AsyncClient) -> None:
    async def token(*command: str) -> str:
        return str((await http.post("/", json=command)).headers["upstash-sync-token"])

    first, second = await token("SET", "a", "1"), await token("SET", "a", "2")
    assert first != second
    assert await token("GET", "a") == second
    nothing_run = await http.post("/", json=["NOSUCH"], headers={"Upstash-Sync-Token": second})
    assert nothing_run.headers["upstash-sync-token"] == second


async def test_a_late_replica_shows_the_past_except_to_whoever_wrote(lagging: UpstashEmulator) -> None:
    async with client(lagging) as http:
        await ask(http, "SET", "a", "old")
        await lagging.wait_replica()
        lag = lagging.faults.arm("lag", lo_ms=60_000)
        written = await http.post("/", json=["SET", "a", "new"])
        assert await ask(http, "GET", "a") == "old"
        rows = await http.post("/pipeline", json=[["GET", "a"], ["STRLEN", "a"]])
        assert rows.json() == [{"result": "old"}, {"result": 3}]
        assert (lag.hits, lagging.faults.hits["lag"]) == (3, 3)
        token = {"Upstash-Sync-Token": written.headers["upstash-sync-token"]}
        fresh = await http.post("/", json=["GET", "a"], headers=token)
        assert fresh.json() == {"result": "new"}
        mixed = await http.post("/pipeline", json=[["GET", "a"], ["APPEND", "a", "er"]])
        assert mixed.json()[0] == {"result": "new"}
        assert lag.hits == 3
        assert lagging.counts == {"SET": 2, "GET": 4, "STRLEN": 1, "APPEND": 1}
        lagging.faults.disarm("lag")
        await lagging.wait_replica()
        assert await ask(http, "GET", "a") == "newer"


async def test_read_only_scripts_see_the_past_too(lagging: UpstashEmulator) -> None:
    script = LOCKED + "return redis.call('GET', KEYS[1])"
    async with client(lagging) as http:
        await ask(http, "SCRIPT", "LOAD", script)
        await lagging.wait_replica()
        lagging.faults.arm("lag", lo_ms=60_000)
        await ask(http, "SET", "a", "new")
        assert await ask(http, "EVALSHA_RO", digest(script), 1, "a") is None
        assert await ask(http, "EVAL_RO", script, 1, "a") is None
        assert await ask(http, "EVALSHA", digest(script), 1, "a") == "new"
        assert (await refused(http, "EVALSHA_RO", "0" * 40, 0)).startswith("NOSCRIPT ")
    assert lagging.faults.hits["lag"] == 3
    bill = {"SCRIPT": 1, "SET": 1, "EVALSHA_RO": 2, "EVAL_RO": 1, "EVALSHA": 1, "GET": 3}
    assert lagging.counts == bill


async def test_a_lag_is_no_shorter_than_its_bounds_and_ends(lagging: UpstashEmulator) -> None:
    async with client(lagging) as http:
        lag = lagging.faults.arm("lag", lo_ms=150, hi_ms=250)
        began = time.perf_counter()
        await ask(http, "SET", "a", "new")

        async def fresh() -> bool:
            return bool(await ask(http, "GET", "a") == "new")

        await auntil(fresh, "the replica catches up", alarm=ALARM)
        assert time.perf_counter() - began >= 0.15
        await lagging.wait_replica()

        async def no_hit() -> bool:
            """At a PING of its own, every ten seconds, a primary is ahead again."""
            hits = lag.hits
            assert await ask(http, "GET", "a") == "new"
            return lag.hits == hits

        await auntil(no_hit, "a read that is answered with what there is", alarm=ALARM)


async def test_notices_outrun_the_replica(lagging: UpstashEmulator) -> None:
    async with client(lagging) as http, subscribed(http, "/subscribe/chat") as events:
        lagging.faults.arm("lag", lo_ms=60_000)
        await ask(http, "EVAL", "redis.call('SET', 'a', 1) redis.call('PUBLISH', 'chat', 'set')", 0)
        assert await events.next() == b"data: message,chat,set"
        assert await ask(http, "GET", "a") is None
    assert lagging.faults.hits == {"lag": 1}


async def test_tokens_of_many_at_once_are_not_mixed_up(lagging: UpstashEmulator) -> None:
    lagging.faults.arm("lag", lo_ms=60_000)
    async with client(lagging) as http:
        await ask(http, "SET", "first", 1)  # whoever reads before anything is written reads nothing of the past

    async def careful(name: str) -> None:
        async with sdk(lagging) as redis:
            for value in range(10):
                await redis.set(name, value)
                assert await redis.get(name) == str(value)

    async def careless() -> None:
        async with client(lagging) as http:
            for _ in range(20):
                assert await ask(http, "GET", "0") is None

    await asyncio.gather(*(careful(str(n)) for n in range(4)), *(careless() for _ in range(4)))
    assert lagging.faults.hits["lag"] == 80


# --- Upstash's own SDK


@asynccontextmanager
async def sdk(up: Any, **options: Any) -> AsyncIterator[UpstashRedis]:
    async with UpstashRedis(up.url, up.token, rest_retries=0, **options) as redis:
        yield redis


@pytest.mark.parametrize("encoding", ["base64", None])
async def test_the_sdk_works(up: UpstashEmulator, encoding: Any) -> None:
    async with sdk(up, rest_encoding=encoding) as redis:
        assert await redis.set("a", "é OK")
        assert await redis.get("a") == "é OK"
        assert await redis.get("nothing") is None
        assert await redis.rpush("list", "x", "OK") == 2
        assert await redis.lrange("list", 0, -1) == ["x", "OK"]
        assert await redis.eval("return {KEYS[1], ARGV[1], 7}", ["k"], ["v"]) == ["k", "v", 7]
        script = LOCKED + "return redis.call('INCR', KEYS[1])"
        assert await redis.script_load(script) == digest(script)
        assert await redis.evalsha(digest(script), ["n"]) == 1
        with pytest.raises(UpstashError, match=r"^NOSCRIPT No matching script\. Please use EVAL\.$"):
            await redis.evalsha("0" * 40)
        for batch, replies in ((redis.pipeline(), [True, 2, "2"]), (redis.multi(), [True, 2, "2"])):
            batch.set("b", "1").incr("b").get("b")
            assert await batch.exec() == replies
        assert await redis.publish("c", "m") == 0
        assert await redis.ping() == "PONG"


async def test_the_sdk_reads_its_own_writes_from_a_late_replica(lagging: UpstashEmulator) -> None:
    lagging.faults.arm("lag", lo_ms=60_000)
    async with sdk(lagging) as writer, sdk(lagging) as reader, sdk(lagging, read_your_writes=False) as third:
        await writer.set("a", "1")
        assert await writer.get("a") == "1"
        assert await reader.get("a") is None
        await third.set("a", "2")
        assert await third.get("a") is None
        # Its token is older than this write, but no replica has got even that far.
        assert await writer.get("a") == "2"


# --- a process of its own


def test_the_emulator_as_a_process(valkey: Valkey) -> None:
    process = EmulatorProcess(valkey.url, "--seed", "7", "--publish-in-scripts", "refuse_always")
    with pytest.raises(AssertionError, match="armed but never fired: hang"), process as up:
        bearer = {"Authorization": f"Bearer {up.token}"}
        with httpx.Client(base_url=up.url, headers=bearer, trust_env=False, timeout=ALARM) as http:
            _bill_and_settings(up, http)
            _faults(up, http)
            _upstreams(up, http)
        assert up.hits() == {"drop_reply": 1, "html": 1, "freeze": 1, "cut": 1}
        with pytest.raises(AssertionError, match="has no option"):
            up.arm("html", nonsense=1)
        up.arm("hang")
    assert process.process.returncode == 0


def _bill_and_settings(up: EmulatorProcess, http: httpx.Client) -> None:
    assert http.post("/", json=["SET", "a", "1"]).json() == {"result": "OK"}
    assert (up.counts(), up.counts().total()) == ({"SET": 1}, 1)
    up.reset_counts()
    assert up.counts() == {}
    publish = ["EVAL", "return redis.call('PUBLISH', 'c', 'm')", 0]
    assert http.post("/", json=publish).status_code == 400
    up.configure(publish_in_scripts="accept")
    assert http.post("/", json=publish).json() == {"result": 0}


def _faults(up: EmulatorProcess, http: httpx.Client) -> None:
    up.arm("drop_reply", times=1, run="held", match="SET")
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/", json=["SET", "a", "2"])
    assert http.get("/get/a").json() == {"result": "1"}
    assert up.release() == 1
    assert http.get("/get/a").json() == {"result": "2"}
    up.arm("html")
    assert http.get("/get/a").status_code == 502
    up.disarm("html")
    assert http.get("/get/a").status_code == 200


def _upstreams(up: EmulatorProcess, http: httpx.Client) -> None:
    with http.stream("POST", "/subscribe/chat", headers=EVENTS) as events:
        lines = events.iter_lines()
        assert next(lines) == "data: subscribe,chat,1"
        assert up.upstreams() == ["/subscribe/chat"]
        assert up.freeze("/subscribe/*") == 1
        assert up.cut(how="close") == 1
        assert [line for line in lines if line] == []
