"""Shapes, statuses, tokens and limits of the Upstash emulator, by plain httpx.

Each shape asserted here is one of the documentation's; where that is silent, `replies.py` says so.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.testkit.rest import EVENTS, ask, bare, client, refused, subscribed
from tests.testkit.upstash import UpstashEmulator
from tests.testkit.upstash.database import Database
from tests.testkit.valkey import Valkey

if TYPE_CHECKING:
    pass

LOCKED = "#!lua flags=allow-key-locking\n"


def digest(script: str) -> str:
    return sha1(script.encode()).hexdigest()


# --- single commands


async def test_a_command_in_the_body_is_answered_by_its_result(http: httpx.AsyncClient) -> None:
    assert await ask(http, "SET", "foo", "bar", "EX", 100) == "OK"
    assert await ask(http, "GET", "foo") == "bar"
    assert await ask(http, "get", "nothing") is None
    assert await ask(http, "APPEND", "foo", "!") == 4
    assert await ask(http, "MGET", "foo", "nothing") == ["bar!", None]
    assert 0 < await ask(http, "TTL", "foo") <= 100


async def test_json_arguments_arrive_as_they_were_written(http: httpx.AsyncClient) -> None:
    body = b'["RPUSH", "k", 1.50, 12345678901234567890, true, false, "\\u00e9\\n"]'
    assert (await http.post("/", content=body)).json() == {"result": 5}
    assert await ask(http, "LRANGE", "k", 0, -1) == ["1.50", "12345678901234567890", "true", "false", "é\n"]


async def test_an_error_is_a_400_with_the_errors_text(http: httpx.AsyncClient) -> None:
    await ask(http, "SET", "foo", "bar")
    wrongtype = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert await refused(http, "LPUSH", "foo", "x") == wrongtype
    assert await refused(http, "GET") == "ERR wrong number of arguments for 'get' command"
    assert await refused(http, "INCR", "foo") == "ERR value is not an integer or out of range"


@pytest.mark.parametrize("body", [b"", b"{", b'"GET"', b"{}", b"[]", b"[null]", b'["GET",["a"]]', b'["GET",{}]'])
async def test_what_is_no_command_is_a_400(http: httpx.AsyncClient, body: bytes) -> None:
    response = await http.post("/", content=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith("ERR ")


async def test_a_command_may_stand_in_the_path(http: httpx.AsyncClient) -> None:
    assert (await http.get("/set/foo/bar")).json() == {"result": "OK"}
    assert (await http.get("/GET/foo")).json() == {"result": "bar"}
    assert (await http.post("/set/a%2Fb%20c/d%3Fe")).json() == {"result": "OK"}
    assert await ask(http, "GET", "a/b c") == "d?e"
    assert (await http.get("/get")).status_code == 400


async def test_a_posted_body_is_the_last_argument_and_the_query_follows_it(http: httpx.AsyncClient) -> None:
    assert (await http.post("/set/foo?EX=100&GET", content=b'{"a": "\xc3\xa9"}')).json() == {"result": None}
    assert await ask(http, "GET", "foo") == '{"a": "é"}'
    assert 0 < await ask(http, "TTL", "foo") <= 100
    assert (await http.put("/set/foo", content=b"put")).json() == {"result": "OK"}
    assert await ask(http, "GET", "foo") == "put"


async def test_other_methods_are_405_and_head_has_no_body(http: httpx.AsyncClient) -> None:
    assert [(await http.request(m, "/get/foo")).status_code for m in ("DELETE", "PATCH")] == [405, 405]
    head = await http.head("/get/foo")
    assert (head.status_code, head.content) == (200, b"")


async def test_replies_in_resp2_are_refused_not_imitated(http: httpx.AsyncClient) -> None:
    response = await http.post("/", json=["PING"], headers={"Upstash-Response-Format": "resp2"})
    assert response.status_code == 400


# --- batches


async def test_a_pipeline_answers_each_command_in_its_place(http: httpx.AsyncClient) -> None:
    rows = [["SET", "key1", "valuex"], ["INCR", "key1"], ["BLPOP", "q", 0], ["STRLEN", "key1"], ["GET"]]
    response = await http.post("/pipeline", json=rows)
    assert response.status_code == 200
    assert response.json() == [
        {"result": "OK"},
        {"error": "ERR value is not an integer or out of range"},
        {"error": "ERR Command is not available: 'BLPOP'"},
        {"result": 6},
        {"error": "ERR wrong number of arguments for 'get' command"},
    ]


async def test_others_may_come_between_the_commands_of_a_pipeline(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, ran, go_on = Database.run, asyncio.Event(), asyncio.Event()

    async def halting(database: Database, commands: Any, **options: Any) -> Any:
        outcome = await run(database, commands, **options)
        if not ran.is_set():
            ran.set()
            await go_on.wait()
        return outcome

    monkeypatch.setattr(Database, "run", halting)
    async with asyncio.TaskGroup() as group:
        pipeline = group.create_task(http.post("/pipeline", json=[["INCR", "n"], ["INCR", "n"]]))
        await ran.wait()
        assert await ask(http, "INCR", "n") == 2
        go_on.set()
    assert [row["result"] for row in pipeline.result().json()] == [1, 3]


async def test_none_may_come_between_the_commands_of_a_transaction(http: httpx.AsyncClient) -> None:
    async def numbers() -> list[int]:
        response = await http.post("/multi-exec", json=[["INCR", "n"]] * 50)
        return [row["result"] for row in response.json()]

    found = await asyncio.gather(numbers(), numbers(), *(ask(http, "INCR", "n") for _ in range(20)))
    for block in found[:2]:
        assert block == list(range(block[0], block[0] + 50))


async def test_a_transaction_runs_on_past_an_error(http: httpx.AsyncClient) -> None:
    rows = [["SET", "key1", "valuex"], ["INCR", "key1"], ["STRLEN", "key1"]]
    response = await http.post("/multi-exec", json=rows)
    assert response.status_code == 200
    error = {"error": "ERR value is not an integer or out of range"}
    assert response.json() == [{"result": "OK"}, error, {"result": 6}]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (["GET"], "ERR wrong number of arguments for 'get' command"),
        (["WATCH", "a"], 'ERR Command "WATCH" is not allowed in REST or it has a special context path'),
        (["NOSUCH"], "ERR Command is not available: 'NOSUCH'"),
    ],
)
async def test_a_discarded_transaction_is_one_error_and_nothing_has_run(
    http: httpx.AsyncClient, up: UpstashEmulator, wrong: list[str], error: str
) -> None:
    response = await http.post("/multi-exec", json=[["SET", "a", "1"], wrong])
    assert (response.status_code, response.json()) == (400, {"error": error})
    assert up.counts == {}
    assert await ask(http, "EXISTS", "a") == 0


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
@pytest.mark.parametrize("body", [b"", b"[]", b'["GET","a"]', b"[[]]", b'[["GET",null]]'])
async def test_a_malformed_batch_is_refused_whole(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    response = await http.post(path, content=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith("ERR ")


# --- tokens


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "standard-token"}])
@pytest.mark.parametrize("path", ["/", "/pipeline", "/get/a", "/subscribe/a"])
async def test_without_a_token_it_is_401(up: UpstashEmulator, headers: dict[str, str], path: str) -> None:
    async with bare(up, **headers, **EVENTS) as http:
        response = await http.post(path, json=["PING"])
    assert response.status_code == 401
    assert response.json() == {"error": "WRONGPASS invalid or missing auth token"}


async def test_the_token_may_stand_in_the_query(up: UpstashEmulator) -> None:
    async with bare(up) as http:
        assert (await http.get(f"/set/a/b?_token={up.token}&EX=9")).json() == {"result": "OK"}
        assert (await http.get(f"/get/a?_token={up.read_only_token}")).json() == {"result": "b"}
        assert (await http.get("/get/a?_token=wrong")).status_code == 401


async def test_the_read_only_token_reads_and_no_more(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    await ask(http, "SET", "a", "1")
    async with client(up, up.read_only_token) as reader:
        assert await ask(reader, "GET", "a") == "1"
        assert await ask(reader, "PING") == "PONG"
        for command in ("SET a 2", "EVALSHA 0 0", "EVAL x 0", "PUBLISH c m", "KEYS *", "SCAN 0", "FLUSHALL"):
            error = await refused(reader, *command.split(" "))
            name = command.partition(" ")[0].lower()
            assert error == f"NOPERM this user has no permissions to run the '{name}' command"
        rows = [["GET", "a"], ["DEL", "a"]]
        assert [list(row) for row in (await reader.post("/pipeline", json=rows)).json()] == [["result"], ["error"]]
        discarded = await reader.post("/multi-exec", json=rows)
        assert (discarded.status_code, list(discarded.json())) == (400, ["error"])
        async with subscribed(reader, "/subscribe/chat"):
            pass
    assert await ask(http, "GET", "a") == "1"


# --- base64


async def test_base64_covers_every_string_but_ok(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    raw = bytes(range(256))
    await http.post("/set/binary", content=raw)
    assert await ask(http, "GET", "binary") == raw.decode(errors="replace")
    async with client(up, **{"Upstash-Encoding": "base64"}) as encoded:
        assert await ask(encoded, "SET", "foo", "bar") == "OK"
        assert await ask(encoded, "GET", "foo") == "YmFy"
        assert b64decode(await ask(encoded, "GET", "binary")) == raw
        assert await ask(encoded, "PING") == b64encode(b"PONG").decode()
        assert await ask(encoded, "GET", "nothing") is None
        assert await ask(encoded, "STRLEN", "foo") == 3
        nested = "return {KEYS[1], 7, false, {ARGV[1], 'OK'}}"
        assert await ask(encoded, "EVAL", nested, 1, "k", "v") == ["aw==", 7, None, ["dg==", "OK"]]
        assert (await refused(encoded, "GET")).startswith("ERR wrong number")
        rows = (await encoded.post("/pipeline", json=[["GET", "foo"], ["GET"]])).json()
        assert rows[0] == {"result": "YmFy"}
        assert rows[1]["error"].startswith("ERR ")


# --- what is not offered


BLOCKING = [
    ("BLPOP", "q", "0"),
    ("BRPOP", "q", "0"),
    ("BLMOVE", "a", "b", "LEFT", "LEFT", "0"),
    ("BLMPOP", "0", "1", "q", "LEFT"),
    ("BRPOPLPUSH", "a", "b", "0"),
    ("BZPOPMIN", "z", "0"),
    ("XREAD", "block", "0", "STREAMS", "s", "$"),
    ("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"),
    ("WAIT", "1", "0"),
]
ADMINISTRATIVE = [
    ("CONFIG", "GET", "maxmemory"),
    ("DEBUG", "SLEEP", "0"),
    ("ROLE",),
    ("SHUTDOWN",),
    ("ACL", "LIST"),
]


@pytest.mark.parametrize("command", [*BLOCKING, *ADMINISTRATIVE, ("NOSUCH", "x")], ids=lambda words: words[0])
async def test_commands_that_are_not_available(
    up: UpstashEmulator, http: httpx.AsyncClient, command: tuple[str, ...]
) -> None:
    assert await refused(http, *command) == f"ERR Command is not available: '{command[0]}'"
    assert up.counts == {}


async def test_commands_that_need_a_connection(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    bound = "SUBSCRIBE PSUBSCRIBE UNSUBSCRIBE MONITOR WATCH MULTI EXEC CLIENT SELECT AUTH HELLO QUIT"
    for name in bound.split():
        error = await refused(http, name.lower(), "x")
        assert error == f'ERR Command "{name}" is not allowed in REST or it has a special context path'
    assert up.counts == {}


async def test_streams_may_be_read_without_blocking(http: httpx.AsyncClient) -> None:
    await ask(http, "XADD", "s", "1-1", "f", "v")
    assert await ask(http, "XREAD", "STREAMS", "s", "0") == [["s", [["1-1", ["f", "v"]]]]]


# --- limits


async def test_ten_megabytes_a_request(http: httpx.AsyncClient) -> None:
    limit = 10 * 1024 * 1024
    assert (await http.post("/set/big", content=b"x" * limit)).status_code == 200
    response = await http.post("/set/big", content=b"x" * (limit + 1))
    assert response.status_code == 400
    error = f"ERR max request size exceeded. Limit: {limit} bytes, Actual: {limit + 1} bytes"
    assert response.json() == {"error": error}
    assert await ask(http, "STRLEN", "big") == limit


async def test_an_answer_has_the_same_limit(valkey: Valkey) -> None:
    async with UpstashEmulator(valkey.url, max_request_bytes=1000) as up, client(up) as http:
        for _ in range(3):
            await ask(http, "RPUSH", "list", "x" * 400)
        assert len(await ask(http, "LRANGE", "list", 0, 1)) == 2
        assert (await refused(http, "LRANGE", "list", 0, -1)).startswith("ERR max request size exceeded")
