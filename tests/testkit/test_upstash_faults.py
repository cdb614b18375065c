"""The faults of the Upstash emulator: each happens, each is counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.testkit.alarm import auntil
from tests.testkit.rest import EVENTS, ask, client, subscribed
from tests.testkit.upstash import Faults, Seen, UpstashEmulator
from tests.testkit.valkey import Valkey, start_valkey

if TYPE_CHECKING:
    from pathlib import Path

LOCKED = "#!lua flags=allow-key-locking\n"


def digest(script: str) -> str:
    return sha1(script.encode()).hexdigest()


# --- faults on requests


async def test_a_delay_lasts_as_long_as_its_bounds_say(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    exact = up.faults.arm("delay", lo_ms=60, match="GET", times=2)
    began = time.perf_counter()
    await asyncio.gather(ask(http, "GET", "a"), ask(http, "GET", "a"), ask(http, "SET", "a", "1"))
    assert time.perf_counter() - began >= 0.06
    await ask(http, "GET", "a")
    assert (exact.hits, up.faults.hits) == (2, {"delay": 2})
    drawn = Faults().arm("delay", lo_ms=20, hi_ms=40)
    seconds = [drawn.seconds() for _ in range(200)]
    assert 0.02 <= min(seconds) < 0.022 < 0.038 < max(seconds) <= 0.04


@pytest.mark.parametrize(("how", "error"), [("close", httpx.RemoteProtocolError), ("reset", httpx.ReadError)])
async def test_a_reply_is_dropped_after_the_command_ran(
    up: UpstashEmulator, http: httpx.AsyncClient, how: str, error: type[Exception]
) -> None:
    up.faults.arm("drop_reply", times=1, how=how)
    with pytest.raises(error):
        await ask(http, "INCR", "n")
    assert await ask(http, "GET", "n") == "1"
    assert up.faults.hits["drop_reply"] == 1


async def test_a_dropped_request_may_never_run_or_run_late(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.faults.arm("drop_reply", times=1, run="never")
    up_to_five = up.faults.arm("drop_reply", times=1, run="late", lo_ms=1, hi_ms=5, match="APPEND")
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(http, "SET", "n", "1")
    assert await ask(http, "EXISTS", "n") == 0
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(http, "APPEND", "late", "x")
    await auntil(lambda: ask(http, "EXISTS", "late"), "the late command runs")
    assert (up_to_five.hits, up.faults.hits["drop_reply"]) == (1, 2)


async def test_a_held_request_runs_when_the_test_says_so(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.faults.arm("drop_reply", times=1, run="held")
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(http, "RPUSH", "list", "first attempt")
    await ask(http, "RPUSH", "list", "repeat")
    assert await up.release() == 1
    assert await ask(http, "LRANGE", "list", 0, -1) == ["repeat", "first attempt"]
    assert await up.release() == 0


@pytest.mark.parametrize("run", ["first", "never"])
async def test_a_request_may_hang(up: UpstashEmulator, http: httpx.AsyncClient, run: str) -> None:
    up.faults.arm("hang", times=1, run=run)
    with pytest.raises(httpx.ReadTimeout):
        await http.post("/", json=["SET", "a", "1"], timeout=httpx.Timeout(10, read=1.0))
    if run == "first":
        await auntil(lambda: ask(http, "EXISTS", "a"), "the command has run")
    else:
        assert await ask(http, "EXISTS", "a") == 0


async def test_statuses_on_request(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    for kind in ("unauthorized", "rate_limited", "server_error", "html"):
        up.faults.arm(kind, times=1)
    answers = [await http.post("/", json=["INCR", "n"]) for _ in range(4)]
    assert [a.status_code for a in answers] == [401, 429, 500, 502]
    assert answers[0].json() == {"error": "WRONGPASS invalid or missing auth token"}
    assert answers[1].json()["error"].startswith("ERR max requests limit exceeded")
    assert answers[2].json()["error"].startswith("ERR ")
    assert answers[3].headers["content-type"].startswith("text/html")
    assert await ask(http, "EXISTS", "n") == 0
    assert up.faults.hits == dict.fromkeys(("unauthorized", "rate_limited", "server_error", "html"), 1)


async def test_an_outage_may_begin_after_the_command_ran(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.faults.arm("html", times=1, run="first")
    up.faults.arm("server_error", times=1, run="first")
    up.faults.arm("rate_limited", times=1, status=400, match="DECR")
    assert {(await http.post("/", json=["INCR", "n"])).status_code for _ in range(2)} == {500, 502}
    assert (await http.post("/", json=["DECR", "n"])).status_code == 400
    assert await ask(http, "GET", "n") == "2"


# --- faults on subscriptions


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_subscribe_is_refused(up: UpstashEmulator, http: httpx.AsyncClient, status: int) -> None:
    up.faults.arm("refuse_subscribe", status=status)
    for path in ("/subscribe/chat", "/psubscribe/chat*"):
        assert (await http.post(path, headers=EVENTS)).status_code == status
    up.faults.disarm("refuse_subscribe")
    async with subscribed(http, "/subscribe/chat"):
        assert up.faults.hits == {"refuse_subscribe": 2}
    assert up.counts["SUBSCRIBE"] == 1


async def test_request_faults_strike_subscriptions_too(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    for kind in ("unauthorized", "html", "drop_reply"):
        up.faults.arm(kind, times=1, match="/subscribe/*")
    assert (await http.post("/subscribe/chat", headers=EVENTS)).status_code == 401
    assert (await http.post("/subscribe/chat", headers=EVENTS)).status_code == 502
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/subscribe/chat", headers=EVENTS)
    async with subscribed(http, "/subscribe/chat"):
        assert await ask(http, "PING") == "PONG"


async def test_a_cut_upstream_ends_instead_of_the_notice(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.faults.arm("cut", times=1, match=lambda seen: seen.commands[0][2] == b"2")
    async with subscribed(http, "/subscribe/chat") as events:
        for payload in "123":
            await ask(http, "PUBLISH", "chat", payload)
        assert [await events.next(), await events.next()] == [b"data: message,chat,1", b""]
    assert up.faults.hits == {"cut": 1}


async def test_an_upstream_may_be_reset(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    async with subscribed(http, "/subscribe/a") as first, subscribed(http, "/subscribe/b") as second:
        await up.wait_upstreams(2)
        assert up.upstreams.cut("/subscribe/a", how="reset") == 1
        with pytest.raises(httpx.ReadError):
            await first.next()
        assert up.upstreams.cut() == 1
        assert await second.next() == b""
    assert up.faults.hits == {"cut": 2}


async def test_an_upstream_cut_at_open_is_acknowledged_first(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.faults.arm("cut_at_open", times=1)
    async with subscribed(http, "/subscribe/chat") as events:
        assert await events.next() == b""
    assert up.faults.hits == {"cut_at_open": 1}


@pytest.mark.parametrize("kind", ["freeze", "freeze_at_open", "by hand"])
async def test_a_frozen_upstream_is_silent_and_stays_open(
    up: UpstashEmulator, http: httpx.AsyncClient, kind: Any
) -> None:
    if kind != "by hand":
        up.faults.arm(kind, times=1, match="/subscribe/frozen*")
    async with subscribed(http, "/subscribe/frozen/alive") as frozen:
        if kind != "freeze_at_open":
            assert await frozen.next() == b"data: subscribe,alive,2"
        async with subscribed(http, "/subscribe/alive") as alive:
            if kind == "by hand":
                await up.wait_upstreams(2)
                assert up.upstreams.freeze("/subscribe/frozen*") == 1
            for payload in "12":
                assert await ask(http, "PUBLISH", "alive", payload) == 2
                assert await alive.next() == f"data: message,alive,{payload}".encode()
            assert len(up.upstreams) == 2
            assert up.upstreams.cut("/subscribe/frozen*") == 1
            assert await frozen.next() == b""
    assert up.faults.hits == {"freeze" if kind == "by hand" else kind: 1, "cut": 1}


async def test_notices_are_lost_doubled_and_reordered(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    def payload(wanted: bytes) -> Any:
        return lambda seen: seen.commands[0] == (b"MESSAGE", b"chat", wanted)

    up.faults.arm("notice_drop", match=payload(b"1"))
    up.faults.arm("notice_duplicate", match=payload(b"2"))
    up.faults.arm("notice_reorder", match=payload(b"3"), hold_ms=60_000)
    up.faults.arm("notice_reorder", match=payload(b"6"), hold_ms=1)
    async with subscribed(http, "/subscribe/chat") as events:
        for number in range(7):
            await ask(http, "PUBLISH", "chat", number)
        seen = [(await events.next()).removeprefix(b"data: message,chat,") for _ in range(7)]
    assert seen == [b"0", b"2", b"2", b"4", b"3", b"5", b"6"]
    assert up.faults.hits == {"notice_drop": 1, "notice_duplicate": 1, "notice_reorder": 2}


async def test_delayed_notices_keep_their_order(up: UpstashEmulator, http: httpx.AsyncClient) -> None:
    up.faults.arm("notice_delay", lo_ms=1, hi_ms=30)
    async with subscribed(http, "/subscribe/chat") as events:
        for number in range(20):
            await ask(http, "PUBLISH", "chat", number)
        seen = [await events.next() for _ in range(20)]
    assert seen == [f"data: message,chat,{number}".encode() for number in range(20)]
    assert up.faults.hits == {"notice_delay": 20}


async def test_an_upstream_ends_when_its_server_dies(tmp_path: Path) -> None:
    with start_valkey(tmp_path) as own:
        async with UpstashEmulator(own.url) as up, client(up) as http:
            async with subscribed(http, "/subscribe/chat") as events:
                own.kill()
                assert await events.next() == b""
            assert (await http.post("/", json=["GET", "a"])).status_code == 500
            own.start()
            assert await ask(http, "GET", "a") is None


# --- arming


async def test_a_fault_that_never_fired_fails_the_test(valkey: Valkey) -> None:
    with pytest.raises(AssertionError, match="armed but never fired: html"):
        async with UpstashEmulator(valkey.url) as up:
            up.faults.arm("html")
            up.faults.arm("hang", may_miss=True)
            up.faults.disarm()


def test_draws_depend_on_the_seed_alone() -> None:
    def draws(seed: int) -> list[bool]:
        armed = Faults(seed).arm("html", probability=0.3)
        return [armed.draws(Seen("/", ())) for _ in range(200)]

    assert draws(1) == draws(1) != draws(2)
    assert 30 < sum(draws(1)) < 90


def test_arming_nonsense_is_refused() -> None:
    with pytest.raises(TypeError, match="html has no option lo"):
        Faults().arm("html", lo=1)
    with pytest.raises(ValueError, match="replica=True"):
        Faults().arm("lag", lo_ms=1)


def test_a_match_is_a_path_a_command_or_a_function() -> None:
    faults = Faults()
    for match in ("/get/*", "lpush", lambda seen: len(seen.commands) == 3):
        faults.arm("html", match=match)
    ping = (b"PING",)
    seen = [Seen("/get/a", (ping,)), Seen("/", (ping, (b"LPush", b"a"))), Seen("/pipeline", (ping,) * 3)]
    assert [faults.fire("html", one) is not None for one in [*seen, Seen("/", (ping,))]] == [True] * 3 + [False]
    assert faults.hits == Counter(html=3)
    assert [armed.hits for armed in faults.armed("html")] == [1, 1, 1]
