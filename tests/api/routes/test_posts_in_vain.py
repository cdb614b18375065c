"""What posts that write nothing may cost the store: it is counted in the process. (docs/protocol.md, 6.5)"""

from __future__ import annotations

from typing import Any

import pytest

from gapless.auth.rates import NETWORK_TIMES
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import running_app
from tests.testkit.valkey import Valkey

PATH = "/channels/general/messages"
RATE = 0.05
MINUTE = int(60 * RATE * NETWORK_TIMES)
"""What an address may cost at once, in posts."""

ONCE = {"data": 1, "localId": "4f"}
IN_VAIN: dict[str, tuple[int, Any]] = {
    "refused by the rate": (429, {"data": 2}),
    "repeated": (200, ONCE),
    "other content under a localId": (409, {"data": 2, "localId": "4f"}),
    "a batch in part": (409, [ONCE, {"data": 2, "localId": "5f"}]),
}


@pytest.mark.parametrize(("status", "body"), IN_VAIN.values(), ids=IN_VAIN)
async def test_they_cost_what_reading_may(valkey: Valkey, status: int, body: Any) -> None:
    slow = {"rate": 0.001, "burst": 2} if status == 429 else {"rate": 0}
    async with running_app(valkey.url, read_rate=RATE, **slow) as served:
        for first in (ONCE, {"data": 0}):
            assert (await served.client.post(PATH, json=first)).status_code == 201
        assert (await served.client.get("/readyz")).status_code == 200, "it has looked for its rights"
        with valkey.count_commands() as counted:
            replies = [await served.client.post(PATH, json=body) for _ in range(MINUTE + 8)]
            told = assert_problem(replies[-1], 429, "^Too many posts of this user or address were refused or repeated")
        assert counted["evalsha"] == MINUTE
        assert [reply.status_code for reply in replies] == [status] * MINUTE + [429] * 8
        assert 0 < told["retryAfterMs"] <= 1000 / RATE / NETWORK_TIMES
        assert int(replies[-1].headers["retry-after"]) == -(-told["retryAfterMs"] // 1000)
        assert (await served.at("203.0.113.9").post(PATH, json={"data": 3})).status_code != 429 or status == 429
        assert (await served.client.get(PATH)).status_code == 200, "reading has a budget of its own"


async def test_what_is_written_costs_none_of_it(valkey: Valkey) -> None:
    async with running_app(valkey.url, read_rate=RATE) as served:
        replies = [await served.client.post(PATH, json={"data": number}) for number in range(3 * MINUTE)]
        assert {reply.status_code for reply in replies} == {201}


async def test_bytes_count_too(valkey: Valkey) -> None:
    """What is refused was sent to the store, too."""
    async with running_app(valkey.url, read_rate=RATE) as served:
        large = {"data": "x" * 130_000, "localId": "4f"}
        replies = [await served.client.post(PATH, json=large) for _ in range(MINUTE)]
        assert [reply.status_code for reply in replies].count(200) == MINUTE / 2, "two of 64 KiB are two commands"


async def test_no_budget_is_no_limit(valkey: Valkey) -> None:
    async with running_app(valkey.url, read_rate=0) as served:
        replies = [await served.client.post(PATH, json=ONCE) for _ in range(3 * MINUTE)]
        assert [reply.status_code for reply in replies] == [201] + [200] * (3 * MINUTE - 1)
