"""A real server: counted to the command, killed and brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from tests.testkit.alarm import Alarm
from tests.testkit.valkey import BOOKKEEPING, Valkey, start_valkey

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "redis.call('RPUSH', KEYS[1], ARGV[1]); redis.call('PUBLISH', 'news', ARGV[1]); return {1, 'ß'}"


def test_replies_are_plain_values(valkey: Valkey) -> None:
    assert valkey.cli("SET", "k", "ünï") == "OK"
    assert valkey.cli("GET", "k") == "ünï"
    assert valkey.cli("GET", "none") is None
    assert valkey.cli("EVAL", SCRIPT, 1, "list", "x") == [1, "ß"]
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        valkey.cli("LLEN", "k")


def test_bytes_survive_the_way_through_text(valkey: Valkey) -> None:
    valkey.cli("SET", "k", b"\xff\x00\xe2")
    assert valkey.cli("GET", "k").encode(errors="surrogateescape") == b"\xff\x00\xe2"


async def test_counts_inner_commands_and_not_the_connecting(valkey: Valkey) -> None:
    sha = valkey.cli("SCRIPT", "LOAD", SCRIPT)
    with valkey.count_commands() as counted:
        async with Redis.from_url(valkey.url, db=1) as redis, redis.pubsub() as news:
            await news.subscribe("news")
            await redis.evalsha(sha, 1, "list", "x")
            await redis.ping()
    assert counted == {"evalsha": 1, "rpush": 1, "publish": 1}
    assert counted.total() == 3


def test_subscriptions_count_on_request(valkey: Valkey) -> None:
    with valkey.count_commands(ignore=BOOKKEEPING) as counted:
        valkey.cli("SUBSCRIBE", "news")
        valkey.cli("SCRIPT", "EXISTS", "0" * 40)
    assert counted == {"subscribe": 1, "script|exists": 1}


def test_the_shared_server_is_empty_for_each_test(valkey: Valkey) -> None:
    sha = valkey.cli("SCRIPT", "LOAD", SCRIPT)
    valkey.cli("SET", "k", 1)
    valkey.flush()
    assert valkey.cli("DBSIZE") == 0
    assert valkey.cli("SCRIPT", "EXISTS", sha) == [0]


def test_append_only_survives_a_kill_and_keeps_its_address(tmp_path: Path) -> None:
    with start_valkey(tmp_path, appendonly=True, port=None) as server:
        before, url, tcp = server.pid, server.url, server.tcp_url
        server.cli("SET", "k", 1)
        server.restart()
        assert server.cli("GET", "k") == "1"
        assert server.pid != before
        assert (server.url, server.tcp_url) == (url, tcp)
        assert url.startswith("unix:///")


async def test_tcp_only(tmp_path: Path) -> None:
    with start_valkey(tmp_path, port=None, unixsocket=False) as server:
        assert server.url == server.tcp_url
        async with Redis.from_url(server.url) as redis:
            assert await redis.ping()


def test_without_a_file_a_restart_wipes(tmp_path: Path) -> None:
    with start_valkey(tmp_path) as server:
        server.cli("SET", "k", 1)
        server.stop()
        assert not server.alive
        with pytest.raises(ConnectionError):
            server.cli("PING")
        server.start()
        assert server.cli("DBSIZE") == 0


def test_paused_it_accepts_and_does_not_answer(tmp_path: Path) -> None:
    with start_valkey(tmp_path) as server:
        server.pause()
        with pytest.raises(TimeoutError):
            server.cli("PING", alarm=0.1)
        server.resume()
        assert server.cli("PING") == "PONG"


def test_further_options_and_a_clear_word_when_it_will_not_start(tmp_path: Path) -> None:
    with start_valkey(tmp_path / "a", "--maxmemory", "10mb") as server:
        assert server.cli("CONFIG", "GET", "maxmemory") == ["maxmemory", str(10 * 1024 * 1024)]
    with pytest.raises(Alarm, match="no-such-option"):
        start_valkey(tmp_path / "b", "--no-such-option", "1")


def test_a_restart_spoils_a_count(tmp_path: Path) -> None:
    with start_valkey(tmp_path) as server, pytest.raises(Alarm, match="restarted"), server.count_commands():
        server.restart()
