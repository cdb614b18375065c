"""POST /channels/{channel}/messages: what is taken and answered, and what is refused, in which words."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gapless.api.unread import REST_BYTES
from tests.api.posting import LOG, PATH, post
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

JSON = {"Content-Type": "application/json"}
DEEP = 20_000


# What is taken


async def test_one_message(served: RunningApp, valkey: Valkey) -> None:
    reply = await post(served, {"data": {"text": "hi"}, "user": "ann", "localId": "4f", "event": "chat.said"})
    sent = reply.json()
    assert reply.status_code == 201
    assert list(sent) == ["id", "channel", "event", "user", "localId", "timestamp"]
    assert list(sent.values())[1:5] == ["general", "chat.said", "ann", "4f"]
    assert re.fullmatch(r"[0-9a-z]{8}-1-[0-9a-z]{4}", sent["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent["timestamp"])
    assert abs(datetime.fromisoformat(sent["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert valkey.cli("LLEN", LOG) == 1


async def test_what_is_left_out_is_null_or_message(served: RunningApp) -> None:
    sent = (await post(served, {"data": None})).json()
    assert (sent["event"], sent["user"], sent["localId"]) == ("message", None, None)


async def test_an_edit_and_a_delete_are_messages(served: RunningApp) -> None:
    """docs/protocol.md, 9.6"""
    first = (await post(served, {"data": "helo", "user": "ann"})).json()["id"]
    edit = {"event": "edit", "ref": first, "data": "hello", "user": "ann"}
    assert (await post(served, [edit, {"event": "delete", "ref": first, "user": "ann"}])).status_code == 201
    kept = (await served.client.get(PATH)).json()["messages"]
    assert [(one["event"], one["data"], one.get("ref")) for one in kept] == [
        ("message", "helo", None), ("edit", "hello", first), ("delete", None, first),
    ]  # fmt: skip
    assert not any("admin" in one for one in kept)


@pytest.mark.parametrize("admin", [True, False])
async def test_what_an_administrator_refers_to_is_marked(valkey: Valkey, admin: bool) -> None:
    """docs/protocol.md, 9.6"""
    claims = claims_of(time.time(), sub="eve")
    claims["gapless"]["admin"] = admin
    headers = bearer(Secret().sign(claims))
    async with running_app(valkey.url, jwt_secret=SECRET, public=True) as served:
        for message in ({"data": 1}, {"event": "delete", "ref": "t9x2k0ab-1-abcd", "user": "bob"}):
            assert (await served.client.post(PATH, json=message, headers=headers)).status_code == 201
        plain, deleted = (await served.client.get(PATH, headers=headers)).json()["messages"]
    assert "admin" not in plain
    assert (deleted["user"], deleted.get("admin")) == ("eve", True if admin else None)


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_a_batch_has_consecutive_numbers(served: RunningApp, count: int) -> None:
    await post(served, {"data": 0})
    reply = await post(served, [{"data": number} for number in range(count)])
    assert reply.status_code == 201
    assert [int(one["id"].split("-")[1]) for one in reply.json()] == list(range(2, 2 + count))


@pytest.mark.parametrize("channel", ["a", "A-1_.:z", "x" * 64, "0"])
async def test_channels(served: RunningApp, channel: str) -> None:
    reply = await post(served, {"data": 1}, f"/channels/{channel}/messages")
    assert (reply.status_code, reply.json()["channel"]) == (201, channel)


async def test_a_body_of_just_the_most_bytes(served: RunningApp) -> None:
    empty = len(b'{"data":""}')
    body = json.dumps({"data": "x" * (131_072 - empty)}, separators=(",", ":"))
    assert len(body) == 131_072
    assert (await served.client.post(PATH, content=body, headers=JSON)).status_code == 201
    assert_problem(await served.client.post(PATH, content=body + " ", headers=JSON), 413, "131072 bytes")


async def test_a_character_set_may_be_named(served: RunningApp) -> None:
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"):
        reply = await served.client.post(PATH, content=b'{"data":1}', headers={"Content-Type": kind})
        assert reply.status_code == 201


async def test_the_mark_that_may_open_utf_8_is_taken_off(served: RunningApp) -> None:
    reply = await served.client.post(PATH, content=b'\xef\xbb\xbf{"data":"\xc3\xa9"}', headers=JSON)
    assert reply.status_code == 201
    assert (await served.client.get(PATH)).json()["messages"][0]["data"] == "é"


async def test_numbers_come_back_as_they_were_sent(served: RunningApp) -> None:
    content = b'[{"data":1e15},{"data":[ 12345678901234567890, 0.10 ],"user":"ann"}]'
    assert (await served.client.post(PATH, content=content, headers=JSON)).status_code == 201
    text = (await served.client.get(PATH)).text
    assert '"data":1e15,' in text
    assert '"data":[12345678901234567890,0.10],' in text


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
async def test_what_is_stored_is_no_larger_than_a_body_may_be(valkey: Valkey, character: str) -> None:
    """These few are written as escapes, up to three times as long."""
    async with running_app(valkey.url, max_body=3000) as served:
        wide = len(character.encode())
        fits = {"data": character * (2900 // 6)}
        content = json.dumps(fits, ensure_ascii=False).encode()
        assert (await served.client.post(PATH, content=content, headers=JSON)).status_code == 201
        content = json.dumps({"data": character * (2900 // wide)}, ensure_ascii=False).encode()
        assert_problem(await served.client.post(PATH, content=content, headers=JSON), 413, "GAPLESS_MAX_BODY")
        assert len(valkey.cli("LINDEX", LOG, -1)) <= 3000 + 2048 + 100


# What is refused: nothing of it is stored


@dataclass(frozen=True)
class Bad:
    body: bytes
    status: int
    detail: str
    path: str = PATH
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def bad(value: Any, detail: str, path: str = PATH, **headers: str) -> Bad:
    """JSON that can be read, and says what can't be done."""
    return Bad(json.dumps(value).encode(), 422, detail, path, JSON | headers)


def member(name: str, value: Any) -> Bad:
    return bad({"data": 1, name: value}, rf"^{name}: ")


def channel(quoted: str, status: int = 422) -> Bad:
    return Bad(b'{"data":1}', status, "channel: " if status == 422 else "", f"/channels/{quoted}/messages")


RESERVED = (
    "hello",
    "gap",
    "end",
    "receipt",
    "presence",
    "signal",
    "live",
    "beat",
    "open",
    "error",
    "gapless.",
    "gapless.x",
)
NOT_JSON = "^The body is not JSON: "
NOT_UTF_8 = "^The body is not JSON in UTF-8"
BAD = {
    "empty": Bad(b"", 400, NOT_JSON),
    "words": Bad(b"hello", 400, NOT_JSON),
    "half": Bad(b'{"data":', 400, NOT_JSON),
    "two values": Bad(b'{"data":1}{"data":2}', 400, NOT_JSON),
    "a trailing comma": Bad(b'{"data":1,}', 400, NOT_JSON),
    "single quotes": Bad(b"{'data':1}", 400, NOT_JSON),
    "UTF-16": Bad('{"data":1}'.encode("utf-16"), 400, NOT_UTF_8),
    "UTF-16 without a mark": Bad('{"data":1}'.encode("utf-16-be"), 400, NOT_UTF_8),
    "UTF-32": Bad('{"data":1}'.encode("utf-32-le"), 400, NOT_UTF_8),
    "Latin-1": Bad(
        b'{"data":"\xe9"}', 400, NOT_UTF_8, headers={"Content-Type": "application/json; charset=iso-8859-1"}
    ),
    "two marks": Bad(b"\xef\xbb\xbf" * 2 + b'{"data":1}', 400, NOT_JSON),
    "NaN": Bad(b'{"data":NaN}', 400, NOT_JSON),
    "Infinity": Bad(b'{"data":Infinity}', 400, NOT_JSON),
    "-Infinity": Bad(b'{"data":[-Infinity]}', 400, NOT_JSON),
    "a lone high surrogate": Bad(b'{"data":"\\ud800"}', 400, NOT_JSON),
    "a lone low surrogate": Bad(b'{"data":"\\udc00"}', 400, NOT_JSON),
    "surrogates the wrong way round": Bad(b'{"data":"\\udc00\\ud800"}', 400, NOT_JSON),
    "a surrogate in a name": Bad(b'{"data":{"\\ud83d":1}}', 400, NOT_JSON),
    "a surrogate in bytes": Bad(b'{"data":"\xed\xa0\x80"}', 400, NOT_UTF_8),
    "bad UTF-8": Bad(b'{"data":"\xff"}', 400, NOT_UTF_8),
    "half a character": Bad(b'{"data":"\xe2\x82"}', 400, NOT_UTF_8),
    "an overlong slash": Bad(b'{"data":"\xc0\xaf"}', 400, NOT_UTF_8),
    "a raw line break in a text": Bad(b'{"data":"a\nb"}', 400, NOT_JSON),
    "deep arrays": Bad(b'{"data":' + b"[" * DEEP + b"]" * DEEP + b"}", 400, NOT_JSON),
    "deep objects": Bad(b'{"data":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", 400, NOT_JSON),
    "deep and never closed": Bad(b"[" * DEEP, 400, NOT_JSON),
    "a number of 5,000 digits": Bad(b'{"data":' + b"9" * 5000 + b"}", 400, NOT_JSON),
    "a number too large for a double": Bad(b'{"data":1e400}', 422, "^data: a number is too large"),
    "an integer too large for a double": Bad(b'{"data":' + b"9" * 309 + b"}", 422, "^data: a number is too large"),
    "one deep inside": Bad(b'{"data":[{"a":[-1e309]}]}', 422, "^data: a number is too large"),
    "a number": bad(1, "^The body is one message"),
    "a text": bad("hi", "^The body is one message"),
    "null": bad(None, "^The body is one message"),
    "no data": bad({"user": "ann"}, "^data: Field required"),
    "nothing": bad({}, "^data: Field required"),
    "a misspelt member": bad({"data": 1, "localID": "x"}, "^localID: "),
    "too large": Bad(b'{"data":"' + b"x" * 131_072 + b'"}', 413, "^The body is larger than 131072 bytes"),
    "no type": Bad(b'{"data":1}', 415, "Content-Type: application/json", headers={}),
    "a form": Bad(b"data=1", 415, "application/json", headers={"Content-Type": "application/x-www-form-urlencoded"}),
    "text": Bad(b'{"data":1}', 415, "application/json", headers={"Content-Type": "text/plain"}),
    "nearly JSON": Bad(b'{"data":1}', 415, "application/json", headers={"Content-Type": "application/jsonp"}),
    "an empty batch": bad([], "^A batch holds 1 to 100 messages; this one holds 0"),
    "101 in a batch": bad([{"data": 1}] * 101, "^A batch holds 1 to 100 messages; this one holds 101"),
    "a number in a batch": bad([{"data": 1}, 1], "."),
    "a batch in a batch": bad([[{"data": 1}]], "."),
    "one of three without data": bad([{"data": 1}, {}, {"data": 1}], r"^1\.data: Field required"),
    "a localId twice": bad([{"data": 1, "localId": "x"}, {"data": 2, "localId": "x"}], "each localId may stand once"),
    "a long Idempotency-Key": bad({"data": 1}, "^Idempotency-Key: ", **{"Idempotency-Key": "x" * 129}),
    "a long one in quotes": bad({"data": 1}, "^Idempotency-Key: ", **{"Idempotency-Key": f'"{"x" * 129}"'}),
    "two keys": bad({"data": 1, "localId": "a"}, "differ", **{"Idempotency-Key": "b"}),
    **{f"event {name}": member("event", name) for name in RESERVED},
    **{
        f"event {name!r:.12}": member("event", name) for name in ("", "x" * 65, "a b", "ä", "a\nb", "a\r", "a\u2028", 1)
    },
    "event with a line separator": member("event", "a\u2028b"),
    **{f"user {name!r:.12}": member("user", name) for name in ("", "x" * 129, "a\nb", "a\r", "\0", "\x7f", 1, [])},
    **{f"localId {name!r:.12}": member("localId", name) for name in ("", "x" * 129, "a\nb", "\x1b", 1.5, {})},
    **{f"channel {name:.12}": channel(name) for name in ("x" * 65, "-a", ".a", "_a", ":a", "a%20b", "a%0A", "%00")},
    **{f"channel {name:.12}": channel(name) for name in ("%C3%A4", "a%E2%80%A8", "%FF", "*", "a%2Bb", "~a", "a,b")},
    "no channel": channel("", 404),
    "a slash in a channel": channel("a%2Fb", 404),
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
async def test_bad_input(sent: Bad, refusing: RunningApp, valkey: Valkey) -> None:
    reply = await refusing.client.post(sent.path, content=sent.body, headers=sent.headers)
    assert_problem(reply, sent.status, sent.detail)
    assert valkey.cli("DBSIZE") == 0


async def test_a_body_that_is_too_large_is_not_read_to_its_end(served: RunningApp, valkey: Valkey) -> None:
    """Its length need not be told: what comes is counted."""
    taken = 0

    async def chunks() -> Any:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b"x" * 10_000

    assert_problem(await served.client.post(PATH, content=chunks(), headers=JSON), 413, "GAPLESS_MAX_BODY")
    assert taken <= 15 + REST_BYTES // 10_000 + 1
    assert valkey.cli("DBSIZE") == 0


async def test_a_batch_that_no_log_could_hold(valkey: Valkey) -> None:
    async with running_app(valkey.url, cap=20) as served:
        assert_problem(await post(served, [{"data": 1}] * 21), 422, "^A batch holds 1 to 20 messages")
        assert (await post(served, [{"data": 1}] * 20)).status_code == 201


async def test_the_most_bytes_are_a_setting(valkey: Valkey) -> None:
    async with running_app(valkey.url, max_body=1024) as served:
        assert_problem(await post(served, {"data": "x" * 1024}), 413, "1024 bytes")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods(method: str, served: RunningApp) -> None:
    reply = await served.client.request(method, PATH)
    assert_problem(reply, 405, "it takes GET, POST")
    assert reply.headers["allow"] == "GET, POST"


async def test_over_the_rate(valkey: Valkey) -> None:
    async with running_app(valkey.url, rate=0.01, burst=2) as served:
        body = {"data": 1, "localId": "4f"}
        assert [(await post(served, one)).status_code for one in (body, {"data": 2})] == [201, 201]
        reply = await post(served, {"data": 3})
        told = assert_problem(reply, 429, "^Too many messages on this channel")
        assert 90_000 < told["retryAfterMs"] <= 100_000
        assert int(reply.headers["retry-after"]) == -(-told["retryAfterMs"] // 1000)
        assert (await post(served, body)).status_code == 200
        assert (await post(served, {"data": 1}, "/channels/other/messages")).status_code == 201
        assert_problem(await post(served, [{"data": 1}] * 3), 422, "GAPLESS_BURST")
        assert valkey.cli("LLEN", LOG) == 2


async def test_over_the_rate_of_bytes(valkey: Valkey) -> None:
    async with running_app(valkey.url, rate_bytes=1000, burst_bytes=50_000) as served:
        body = {"data": "x" * 40_000, "localId": "4f"}
        assert (await post(served, body)).status_code == 201
        reply = await post(served, {"data": "y" * 40_000})
        told = assert_problem(reply, 429, "or too many bytes")
        assert 25_000 < told["retryAfterMs"] <= 31_000
        assert int(reply.headers["retry-after"]) == -(-told["retryAfterMs"] // 1000)
        assert (await post(served, body)).status_code == 200
        assert (await post(served, {"data": 1})).status_code == 201, "a small one still passes"
        for never in ({"data": "x" * 50_000}, [{"data": "x" * 25_000}] * 2):
            assert_problem(await post(served, never), 422, "GAPLESS_BURST_BYTES")
        assert valkey.cli("LLEN", LOG) == 2


async def test_bytes_are_not_counted_where_that_is_off(valkey: Valkey) -> None:
    for off in ({"rate_bytes": 0}, {"rate": 0}):
        async with running_app(valkey.url, burst_bytes=1024, **off) as served:
            assert [(await post(served, {"data": "x" * 2000})).status_code for _ in range(3)] == [201] * 3


async def test_a_log_is_bounded_in_bytes(valkey: Valkey) -> None:
    """And whoever missed what made way is told so, as where there were too many messages."""
    async with running_app(valkey.url, cap_bytes=1_048_576) as served:
        ids = [(await post(served, {"data": f"{n}".ljust(100_000)})).json()["id"] for n in range(12)]
        kept = valkey.cli("LLEN", LOG)
        assert 7 <= kept <= 10
        page = (await served.client.get(PATH, params={"after": ids[0], "limit": 200})).json()
        assert (page["gap"]["reason"], page["gap"]["missed"], page["gap"]["oldest"]) == (
            "trimmed",
            11 - kept,
            ids[-kept],
        )


async def test_without_a_store(valkey: Valkey) -> None:
    async with running_app("unix:///nowhere/at/all") as served:
        for body in ({"data": 1}, {"data": 1, "localId": "4f"}):
            reply = await post(served, body)
            told = assert_problem(reply, 503, "^The message store does not answer now; nothing was written")
            assert (told["outcome"], reply.headers["retry-after"]) == ("none", "2")


async def test_a_log_that_is_none_of_ours(served: RunningApp, valkey: Valkey) -> None:
    valkey.cli("RPUSH", LOG, "hello")
    assert assert_problem(await post(served, {"data": 1}), 503)["outcome"] == "none"
    valkey.cli("DEL", LOG)
    valkey.cli("SET", LOG, "hello")
    assert assert_problem(await post(served, {"data": 1}), 503)["outcome"] == "none"
