"""Kinds of channels side by side, through the whole service. (docs/protocol.md, section 8)"""

from __future__ import annotations

import json
from typing import Any

from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, of_kind, running_app
from tests.testkit.valkey import Valkey

KINDS = {"run": {"cap": 40, "rate": 0, "signals": True}, "slow": {"cap": 20, "rate": 1, "burst": 2}}


async def post(served: RunningApp, channel: str, count: int) -> Any:
    return await served.client.post(f"/channels/{channel}/messages", json=[{"data": n} for n in range(count)])


async def test_each_keeps_to_its_own_figures(valkey: Valkey) -> None:
    """Cap, batch limits, rate and burst of two namespaces and of what is in none; no command more for it."""
    now = 1_790_000_000.0
    async with running_app(valkey.url, cap=30, namespaces=KINDS, clock=lambda: now) as served:
        await served.checked()
        for channel, cap in (("run:1", 40), ("slow", 30)):
            for _ in range(4):
                assert (await post(served, channel, 30)).status_code == 201
            kept = (await served.client.get(f"/channels/{channel}/messages?limit=200")).json()["messages"]
            assert cap <= len(kept) <= cap + cap // 4
        assert (await post(served, "run:1", 40)).status_code == 201, "a batch may be as large as the channel's cap"
        assert_problem(await post(served, "other", 31), 422, "A batch holds 1 to 30 messages")
        assert_problem(await post(served, "slow:1", 3), 422, "at most 2 messages here")
        assert (await post(served, "slow:1", 2)).status_code == 201
        assert_problem(await post(served, "slow:1", 1), 429, "Too many messages")
        await post(served, "run:2", 1)
        with valkey.count_commands() as counted:
            await post(served, "run:2", 1)
        assert sum(counted.values()) == 4, counted


async def test_a_position_where_there_was_no_log_counts_by_the_channels_own_retention(valkey: Valkey) -> None:
    """docs/protocol.md, 1.3"""
    now = [1_790_000_000.0]
    kinds = {"short": {"retention": 10}}
    async with running_app(valkey.url, namespaces=kinds, clock=lambda: now[0]) as served:
        cursors = {}
        for channel in ("short:1", "long:1"):
            cursors[channel] = (await served.client.get(f"/channels/{channel}/messages")).json()["cursor"]
        now[0] += 11
        gaps = {}
        for channel, cursor in cursors.items():
            await post(served, channel, 1)
            gaps[channel] = (await served.client.get(f"/channels/{channel}/messages?after={cursor}")).json()["gap"]
        assert gaps["short:1"]["reason"] == "reset"
        assert gaps["long:1"] is None


async def test_hello_says_what_a_channel_offers(valkey: Valkey) -> None:
    """docs/protocol.md, 8.2. Where none offers anything, hello is as it ever was."""
    async with running_app(valkey.url, namespaces=KINDS) as served:
        for path, features in (("run:1", {"run:1": ["signals"]}), ("general", None)):
            found = await served.whole(f"/channels/{path}/stream")
            assert json.loads(of_kind(found, "hello")[0]).get("features") == features
        found = await served.whole("/stream?channel=general,run:1")
        assert json.loads(of_kind(found, "hello")[0])["features"] == {"run:1": ["signals"]}


async def test_readiness_names_them(valkey: Valkey) -> None:
    async with running_app(valkey.url, namespaces=KINDS) as served:
        assert (await served.client.get("/readyz")).json()["namespaces"] == ["run", "slow"]
