"""A client that waits: for a notice, not by asking again and again, and never into the function's timeout."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.alarm import auntil
from tests.testkit.lambda_runtime import Front

from .serving import publish, serving
from .turns import take

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=10)

TIMEOUT = 8.0
RESERVE = 1.5
"""Seconds before its end in which the platform is given its answer."""


async def test_what_waits_reads_next_to_nothing_and_answers_before_the_timeout(
    store: dict[str, str], tcp_server: Valkey
) -> None:
    """Streams and long polls, all at once: each holds an environment of its own. Then one more hears at once."""
    async with (
        serving(store, Front.HTTP_API_V2, timeout=TIMEOUT, late=20) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
    ):
        (sent,) = await publish(http, "c", ["before"], [1])
        await bill(store, "DELETE")
        before = len(front.stats.invocations)
        with tcp_server.count_commands() as counted:
            turns = [take(http, "/channels/c/stream", sent.id) for _ in range(2)]
            polls = [http.get(f"/channels/c/messages?after={sent.id}&wait=25") for _ in range(2)]
            (*told, page, _) = await asyncio.gather(*turns, *polls)
        assert [(turn.kinds, turn.end, turn.cursor) for turn in told] == [(["hello", "end"], "deadline", sent.id)] * 2
        assert all(turn.retry is not None and 80 <= turn.retry <= 120 for turn in told)
        assert page.json() == {"messages": [], "oldest": None, "latest": None, "cursor": sent.id, "gap": None}
        waits = front.stats.invocations[before:]
        assert len(waits) == 4
        for turn in told:  # what is kept back is in what they are told; when that is over, a machine may stand still
            assert json.loads(turn.events[0].data)["lifetime"] <= TIMEOUT - RESERVE
        # By the function's own clock. One process may have stood still for longer, and so three of four: a stream and a
        # poll.
        left = sorted(front.stats.left_ms[one.request_id] / 1000 for one in waits)
        assert left[1] >= RESERVE - 1.4, left
        # Each reads when it begins, and once more 3 s later for what a replica may have kept back.
        assert counted["lrange"] <= 4 * 2, counted
        # What docs/deploy-lambda.md says that a quiet turn costs on Upstash: four commands.
        if billed := await bill(store, "GET"):
            assert set(billed) == {"SUBSCRIBE", "LRANGE", "UNSUBSCRIBE"} and sum(billed.values()) <= 4 * 4, billed

        waiting = asyncio.create_task(take(http, "/channels/c/stream", sent.id))
        await auntil(lambda: front.stats.busy, "it waits")
        (late,) = await publish(http, "c", ["after"], [1])
        assert [one["id"] for one in (await waiting).messages] == [late.id]


async def bill(store: dict[str, str], method: str) -> dict[str, int] | None:
    """What the emulator of Upstash would bill, or begin that anew; None over TCP."""
    if (url := store.get("UPSTASH_REDIS_REST_URL")) is None:
        return None
    async with httpx.AsyncClient() as http:
        counts: dict[str, int] = (await http.request(method, f"{url}/-/counts")).json().get("counts")
    return counts
