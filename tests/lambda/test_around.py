"""Signals, receipts and presence where bodies are handed over whole, through the real runtime. (docs/protocol.md, 9)"""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.testkit.alarm import auntil
from tests.testkit.lambda_runtime import Front

from .serving import publish, serving
from .turns import Turn, take

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.testkit.lambda_runtime import LambdaFront
    from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=15)

KINDS = {"GAPLESS_NAMESPACES": '{"room": {"signals": true, "receipts": true, "presence": true}}'}
ROOM = "/channels/room:1"
STREAM = f"{ROOM}/stream?receipts=1&presence=1&user=ann"
RENEWED = 60
"""Seconds between two renewals of a lease, at least."""


def told(turns: list[Turn], kind: str) -> list[Any]:
    return [json.loads(event.data) for turn in turns for event in turn.events if event.type == kind]


def all_is_told(turns: list[Turn]) -> bool:
    """Of what is looked at below.

    Receipts ride along as far as they are known: the first turn may have told that nobody has received anything. And a
    message that came just too late to end one turn ends the next at once, without a signal.
    """
    receipts, signals = told(turns, "receipt"), told(turns, "signal")
    return any(one["receipts"] for one in receipts) and bool(told(turns, "presence")) and len(signals) >= 4


class Reader:
    """Ann, who takes one turn after the other."""

    def __init__(self, front: LambdaFront, http: httpx.AsyncClient, cursor: str) -> None:
        self.turns: list[Turn] = []
        self._front, self._http, self._cursor = front, http, cursor

    async def turn(self, end: Callable[[], Awaitable[object]]) -> Turn:
        """One that waits, and `end` done again and again until it is over: nobody knows when it has begun to hear."""
        waiting = asyncio.create_task(take(self._http, STREAM, self._cursor))
        await auntil(lambda: self._front.stats.busy or waiting.done(), "the turn is open")
        while not waiting.done():
            await end()
            await asyncio.wait([waiting], timeout=0.5)
        self.turns.append(await waiting)
        self._cursor = self.turns[-1].cursor
        return self.turns[-1]


async def test_signals_receipts_and_presence_in_turns(store: dict[str, str], tcp_server: Valkey) -> None:
    async with (
        serving(store | KINDS, Front.HTTP_API_V2) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
    ):
        (sent,) = await publish(http, "room:1", ["first"], [1])
        began, ann = monotonic(), Reader(front, http, sent.id)

        async def signal() -> None:
            assert (await http.post(f"{ROOM}/signals", json={"event": "typing", "user": "bob"})).status_code == 202

        async def message() -> None:
            await publish(http, "room:1", ["next"], [1])

        with tcp_server.count_commands() as counted:
            turn = await ann.turn(signal)
            assert (turn.kinds[:2], turn.cursor) == (["hello", "signal"], sent.id), "it ends the turn and moves nothing"
            marks = {"read": sent.id, "user": "bob"}
            assert (await http.put(f"{ROOM}/receipts", json=marks)).json()["receipts"]["bob"]["read"] == sent.id
            for number in range(6):
                await ann.turn([message, signal][number % 2])
            while not all_is_told(ann.turns):
                await ann.turn(signal)
        nonces = [one["nonce"] for one in told(ann.turns, "signal")]
        assert len(nonces) == len(set(nonces)) >= 4, "none twice"
        whole = [one["receipts"] for one in told(ann.turns, "receipt") if one["whole"]]
        assert whole[-1] == {"bob": {"delivered": sent.id, "read": sent.id}}
        assert told(ann.turns, "presence")[-1] == {"channel": "room:1", "users": ["ann"], "count": 1}
        minutes = 1 + (monotonic() - began) // RENEWED
        assert 1 <= counted["zadd"] <= minutes, "one lease a minute and client, whatever the number of turns"
        assert counted["time"] <= len(ann.turns) + minutes, "a turn asks once who is there"
        assert (await http.post(f"{ROOM}/presence/leave?user=ann")).status_code == 204
        assert (await http.get(f"{ROOM}/presence")).json()["users"] == []
