"""Lua, subscriptions and the bill on the Upstash emulator, by plain httpx."""

from __future__ import annotations

import asyncio
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from redis.asyncio import Redis as TcpRedis

from tests.testkit.alarm import auntil
from tests.testkit.rest import EVENTS, Subscription, ask, refused, subscribed
from tests.testkit.upstash import UpstashEmulator
from tests.testkit.valkey import Valkey

if TYPE_CHECKING:
    pass

LOCKED = "#!lua flags=allow-key-locking\n"


def digest(script: str) -> str:
    return sha1(script.encode()).hexdigest()


# --- scripts


async def test_scripts_run_by_text_and_by_sha(http: httpx.AsyncClient) -> None:
    script = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}"
    missing = "NOSCRIPT No matching script. Please use EVAL."
    assert await refused(http, "EVALSHA", digest(script), 1, "n", "x") == missing
    assert await ask(http, "SCRIPT", "LOAD", script) == digest(script)
    assert await ask(http, "EVALSHA", digest(script), 1, "n", "x") == ["n", "x", 1]
    assert await ask(http, "EVALSHA", digest(script).upper(), 1, "n", "x") == ["n", "x", 2]
    assert await ask(http, "SCRIPT", "EXISTS", digest(script), "0" * 40) == [1, 0]
    assert await ask(http, "SCRIPT", "FLUSH") == "OK"
    assert await refused(http, "EVALSHA", digest(script), 1, "n", "x") == missing
    assert await ask(http, "EVAL", script, 1, "n", "x") == ["n", "x", 3]
    rows = (await http.post("/pipeline", json=[["EVALSHA", "0" * 40, 0]])).json()
    assert rows == [{"error": missing}]


async def test_a_read_only_script_cannot_write(http: httpx.AsyncClient) -> None:
    assert await ask(http, "EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "a") is None
    error = await refused(http, "EVAL_RO", "return redis.call('SET', KEYS[1], 1)", 1, "a")
    assert "Write commands are not allowed from read-only scripts" in error
    assert await ask(http, "SCRIPT", "LOAD", "return 7") == digest("return 7")
    assert await ask(http, "EVALSHA_RO", digest("return 7"), 0) == 7


async def test_the_shebang_flag_is_part_of_the_sha(http: httpx.AsyncClient, valkey: Valkey) -> None:
    script = LOCKED + "return redis.call('INCR', KEYS[1])"
    assert await ask(http, "SCRIPT", "LOAD", script) == digest(script)
    assert await ask(http, "SCRIPT", "EXISTS", digest(script)) == [1]
    assert await ask(http, "EVALSHA", digest(script), 1, "n") == 1
    assert await ask(http, "EVAL", script, 1, "n") == 2
    valkey.cli("SCRIPT", "FLUSH")
    assert (await refused(http, "EVALSHA", digest(script), 1, "n")).startswith("NOSCRIPT ")
    assert await ask(http, "EVAL", script, 1, "n") == 3
    assert await ask(http, "EVALSHA", digest(script), 1, "n") == 4


@pytest.mark.parametrize(
    "body",
    [
        "return redis.call('GET', 'other')",
        "return server.call('GET', 'oth' .. 'er')",
        "return redis.pcall('SET', 'other', 1)",
        "return redis.call('MSET', KEYS[1], 1, 'other', 2)",
        "local ok = pcall(redis.call, 'DEL', 'other') return redis.call('GET', ok and 'a' or 'other')",
    ],
)
async def test_under_the_flag_every_key_must_be_declared(http: httpx.AsyncClient, body: str) -> None:
    error = await refused(http, "EVAL", LOCKED + body, 1, "declared")
    rule = "ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set. Key was: other"
    assert error.startswith(rule)
    assert await ask(http, "EXISTS", "declared", "other") == 0
    plain = await http.post("/", json=["EVAL", body, 1, "declared"])
    assert "Dynamic keys" not in plain.text


async def test_what_the_flag_leaves_alone(http: httpx.AsyncClient) -> None:
    body = """
local id = redis.call('RPUSH', KEYS[1], ARGV[1])
local heard = redis.call('PUBLISH', 'anything', id)
local bad = redis.pcall('INCR', KEYS[1])
return {id, heard, bad.err, redis.sha1hex(''), redis.status_reply('FINE'), #KEYS}"""
    found = await ask(http, "EVAL", LOCKED + body, 1, "list", "x")
    wrongtype = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert found == [1, 0, wrongtype, sha1(b"").hexdigest(), "FINE", 1]


async def test_database_wide_commands_are_refused_under_the_flag(http: httpx.AsyncClient) -> None:
    await ask(http, "SET", "a", "1")
    assert (await refused(http, "EVAL", LOCKED + "return redis.call('flushdb')", 0)).startswith("ERR ")
    assert await ask(http, "EXISTS", "a") == 1


async def test_line_numbers_stay_the_authors(http: httpx.AsyncClient) -> None:
    body = "local a = 1\nlocal b = a + nil\nreturn b"
    assert "user_script:3:" in await refused(http, "EVAL", LOCKED + body, 0)
    assert "user_script:2:" in await refused(http, "EVAL", body, 0)


async def test_other_flags_are_kept(http: httpx.AsyncClient) -> None:
    script = "#!lua flags=no-writes,allow-key-locking\nreturn redis.call('SET', KEYS[1], 1)"
    assert "Write commands are not allowed" in await refused(http, "EVAL", script, 1, "a")
    assert (await refused(http, "EVAL", script.replace("KEYS[1]", "'b'"), 1, "a")).startswith("ERR Dynamic keys")
    unknown = await refused(http, "EVAL", "#!lua flags=no-such-flag\nreturn 1", 0)
    assert unknown == "ERR Unexpected flag in script shebang: no-such-flag"


async def test_a_database_may_refuse_the_flag(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.configure(key_locking="refuse")
    error = "ERR Unexpected flag in script shebang: allow-key-locking"
    assert await refused(http, "EVAL", LOCKED + "return 1", 0) == error
    assert await refused(http, "SCRIPT", "LOAD", LOCKED + "return 1") == error
    assert await ask(http, "EVAL", "return 1", 0) == 1
    discarded = await http.post("/multi-exec", json=[["SET", "a", 1], ["EVAL", LOCKED + "return 1", 0]])
    assert (discarded.status_code, discarded.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("setting", "locked_may", "plain_may"),
    [("accept", True, True), ("refuse_in_locked", False, True), ("refuse_always", False, False)],
)
async def test_publish_in_scripts_is_accepted_or_refused_as_set(
    up: UpstashEmulator, http: httpx.AsyncClient, setting: Any, locked_may: bool, plain_may: bool
) -> None:
    up.configure(publish_in_scripts=setting)
    body = "return redis.call('publish', 'c', 'm')"
    careful = "local r = redis.pcall('PUBLISH', 'c', 'm') return type(r) == 'table' and r.err or r"
    for flag, may in ((LOCKED, locked_may), ("", plain_may)):
        answered = await ask(http, "EVAL", flag + careful, 0)
        if may:
            assert await ask(http, "EVAL", flag + body, 0) == answered == 0
        else:
            assert "not allowed from script" in await refused(http, "EVAL", flag + body, 0)
            assert answered == "ERR This Redis command is not allowed from script"
    assert up.counts["PUBLISH"] == 2 * (locked_may + plain_may)
    assert await ask(http, "PUBLISH", "c", "m") == 0


# --- subscriptions


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_subscription_is_an_event_stream(up: UpstashEmulator, http: httpx.AsyncClient, method: str) -> None:
    headers = EVENTS | {"Upstash-Encoding": "base64"}
    async with http.stream(method, "/subscribe/chat", headers=headers) as response:
        events = Subscription(response)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert await events.next() == b"data: subscribe,chat,1"
        assert await ask(http, "PUBLISH", "chat", 'hello, {"you": "é"}') == 1
        assert await events.next() == 'data: message,chat,hello, {"you": "é"}'.encode()
        assert (await http.post("/publish/chat/hi")).json() == {"result": 1}
        assert await events.next() == b"data: message,chat,hi"
        await up.wait_upstreams(1)
        assert [upstream.path for upstream in up.upstreams] == ["/subscribe/chat"]
    await up.wait_upstreams(0)
    await auntil(lambda: up.counts["UNSUBSCRIBE"], "the end is billed")
    assert up.counts == {"SUBSCRIBE": 1, "UNSUBSCRIBE": 1, "PUBLISH": 2}


async def test_one_stream_may_have_several_channels(http: httpx.AsyncClient) -> None:
    async with subscribed(http, "/subscribe/a/b%7Bx%7D") as events:
        assert await events.next() == b"data: subscribe,b{x},2"
        await ask(http, "PUBLISH", "b{x}", "1")
        assert await events.next() == b"data: message,b{x},1"


async def test_a_pattern_names_itself_and_the_channel(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    async with http.stream("POST", "/psubscribe/ch*", headers=EVENTS) as response:
        events = Subscription(response)
        assert await events.next() == b"data: psubscribe,ch*,1"
        await ask(http, "PUBLISH", "chat", "hello")
        assert await events.next() == b"data: pmessage,ch*,chat,hello"
    await up.wait_upstreams(0)
    await auntil(lambda: up.counts["PUNSUBSCRIBE"], "the end is billed")
    assert up.counts == {"PSUBSCRIBE": 1, "PUNSUBSCRIBE": 1, "PUBLISH": 1}


async def test_a_subscription_must_ask_for_events(http: httpx.AsyncClient) -> None:
    assert (await http.post("/subscribe/chat")).status_code == 400


# --- the bill


async def test_every_command_is_billed_inner_ones_too(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    await ask(http, "PING")
    await http.get("/ping")
    assert (up.counts, up.total) == ({}, 0)
    await ask(http, "SET", "a", "1")
    await http.post("/pipeline", json=[["GET", "a"], ["GET", "a"], ["PING"]])
    await http.post("/multi-exec", json=[["GET", "a"], ["INCR", "a"]])
    assert up.counts == {"SET": 1, "GET": 3, "INCR": 1}
    assert up.total == 5
    up.reset_counts()
    assert (up.counts, up.total) == ({}, 0)
    body = "for i = 1, 3 do redis.call('RPUSH', KEYS[1], i) end redis.pcall('INCR', KEYS[1]) return 1"
    await ask(http, "EVAL", body, 1, "list")
    assert up.counts == {"EVAL": 1, "RPUSH": 3, "INCR": 1}


async def test_what_was_asked_for_is_counted_and_not_what_scripts_do(
    up: UpstashEmulator, http: httpx.AsyncClient
) -> None:
    body = "return redis.call('RPUSH', KEYS[1], 1)"
    assert "NOSCRIPT" in await refused(http, "EVALSHA", digest(body), 1, "list")
    await ask(http, "eval", body, 1, "list")
    await http.post("/pipeline", json=[["EVALSHA", digest(body), 1, "list"], ["LLEN", "list"]])
    sent = 2 * len(f"EVALSHA{digest(body)}1list") + len(f"eval{body}1list") + len("LLENlist")
    assert up.asked == {f"EVALSHA {digest(body)}": 2, f"EVAL {digest(body)}": 1, "LLEN": 1, "bytes": sent}
    await refused(http, "EVALSHA")
    async with subscribed(http, "/subscribe/c"):
        assert (up.asked["EVALSHA"], up.asked["SUBSCRIBE"]) == (1, 1)


async def test_scripts_are_billed_the_same_under_the_guard(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.configure(publish_in_scripts="refuse_always")
    body = "redis.call('RPUSH', KEYS[1], 1) redis.pcall('PUBLISH', 'c', 'm') return redis.call('LLEN', KEYS[1])"
    await ask(http, "SCRIPT", "LOAD", LOCKED + body)
    await ask(http, "EVALSHA", digest(LOCKED + body), 1, "list")
    await http.post("/multi-exec", json=[["EVALSHA", digest(LOCKED + body), 1, "list"], ["GET", "a"]])
    assert up.counts == {"SCRIPT": 1, "EVALSHA": 2, "RPUSH": 2, "LLEN": 2, "GET": 1}


async def test_the_bill_is_exact_among_others_who_use_the_same_server(
    up: UpstashEmulator, http: httpx.AsyncClient, valkey: Valkey
) -> None:
    body = LOCKED + "redis.call('INCR', KEYS[1]) return redis.call('GET', KEYS[1])"
    async with TcpRedis(unix_socket_path=valkey.socket) as other:

        async def noise() -> None:
            for _ in range(60):
                await other.incr("noise")

        async def work() -> None:
            for _ in range(5):
                await ask(http, "EVAL", body, 1, "n")

        await asyncio.gather(noise(), *(work() for _ in range(8)))
    assert up.counts == {"EVAL": 40, "INCR": 40, "GET": 40}
