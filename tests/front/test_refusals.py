"""What a rate costs, whom it counts, and what it refuses: never a repeat, and never without saying for how long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

MESSAGES = "/channels/general/messages"


def token(sub: str) -> str:
    return Secret().sign(claims_of(time.time(), sub=sub))


# --- what it costs


async def looked(found: RunningApp) -> None:
    """The service looks at its store when it starts, beside whoever asks it; what that costs is not what is counted."""
    assert (await found.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("keyed", [False, True])
async def test_a_plain_publish_with_the_default_rate(valkey: Valkey, keyed: bool) -> None:
    settings: dict[str, Any] = {"jwt_secret": SECRET} if keyed else {}
    async with running_app(valkey.url, **settings) as found:
        await looked(found)
        headers = bearer(token("ann")) if keyed else {}
        for _ in range(13):
            await found.client.post(MESSAGES, json=[{"data": 1}] * 100, headers=headers)
        with valkey.count_commands() as counted:
            for number in range(300):
                reply = await found.client.post(MESSAGES, json={"data": number}, headers=headers)
                assert reply.status_code == 201
    assert counted["set"] == 300, "the rate is on"
    assert counted["ltrim"] >= 1, "the log is full"
    assert counted.total() / 300 <= 6.3


@pytest.mark.parametrize("message", [{"data": 1}, {"data": 1, "localId": "new"}, [{"data": 1}] * 2])
async def test_a_refusal_costs_three_at_most(valkey: Valkey, message: Any) -> None:
    async with running_app(valkey.url, rate=0.001, burst=2) as found:
        await looked(found)
        for _ in range(2):
            await found.client.post(MESSAGES, json={"data": 1})
        with valkey.count_commands() as counted:
            for _ in range(10):
                assert (await found.client.post(MESSAGES, json=message)).status_code == 429
    assert counted.total() <= 30


async def test_no_rate_is_no_limit_and_costs_nothing(valkey: Valkey) -> None:
    async with running_app(valkey.url, rate=0, burst=1) as found:
        await looked(found)
        await found.client.post(MESSAGES, json={"data": 1})
        with valkey.count_commands() as counted:
            for _ in range(20):
                assert (await found.client.post(MESSAGES, json=[{"data": 1}] * 5)).status_code == 201
    assert counted.total() == 20 * 4
    assert not counted["get"]


def test_what_outlives_its_tests_is_not_counted_here(running: Service, valkey: Valkey) -> None:
    """A feed of that service reads its log up to ten seconds after whichever test had a reader there."""
    with valkey.count_commands() as counted:
        assert httpx.get(f"{running.url}{MESSAGES}", trust_env=False).status_code == 200
    assert not counted


# --- what is refused and what is not


async def test_a_repeat_is_never_refused(valkey: Valkey) -> None:
    async with running_app(valkey.url, rate=0.001, burst=4) as found:
        mine, batch = {"data": "mine", "localId": "1"}, [{"data": number} for number in range(3)]
        first = await found.client.post(MESSAGES, json=mine)
        firsts = await found.client.post(MESSAGES, json=batch, headers={"Idempotency-Key": "k"})
        assert (first.status_code, firsts.status_code) == (201, 201)
        assert (await found.client.post(MESSAGES, json={"data": 1})).status_code == 429
        for _ in range(10):
            again = await found.client.post(MESSAGES, json=mine)
            assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
            agains = await found.client.post(MESSAGES, json=batch, headers={"Idempotency-Key": "k"})
            assert [one["id"] for one in agains.json()] == [one["id"] for one in firsts.json()]
        assert (await found.client.post(MESSAGES, json=mine | {"data": "other"})).status_code == 409


async def test_what_is_refused_is_kept_from_everybody_and_not_remembered(valkey: Valkey) -> None:
    now = [time.time()]
    again = {"data": 2, "localId": "x"}
    async with running_app(valkey.url, clock=lambda: now[0], rate=1, burst=1) as found:
        assert (await found.client.post(MESSAGES, json={"data": 1})).status_code == 201
        for seconds in (0.0, 0.998):
            now[0] += seconds
            reply = await found.client.post(MESSAGES, json=again)
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
            assert abs(reply.json()["retryAfterMs"] - 1000 * (1 - seconds)) <= 2
        now[0] += 0.004
        assert (await found.client.post(MESSAGES, json=again)).status_code == 201
        assert [one["data"] for one in (await found.client.get(MESSAGES)).json()["messages"]] == [1, 2]


async def test_a_batch_that_never_fits_is_told_so(valkey: Valkey) -> None:
    async with running_app(valkey.url, rate=1, burst=5) as found:
        reply = await found.client.post(MESSAGES, json=[{"data": 1}] * 6)
        assert reply.status_code == 422
        assert "GAPLESS_BURST" in reply.json()["detail"]


async def test_channels_and_subjects_are_counted_apart(valkey: Valkey) -> None:
    async with running_app(valkey.url, jwt_secret=SECRET, rate=0.001, burst=1) as found:

        async def status(sub: str, channel: str) -> int:
            reply = await found.client.post(
                f"/channels/{channel}/messages", json={"data": 1}, headers=bearer(token(sub))
            )
            return reply.status_code

        assert [await status("ann", "a") for _ in range(2)] == [201, 429]
        assert [await status("bob", "a") for _ in range(2)] == [201, 429]
        assert [await status("ann", "b") for _ in range(2)] == [201, 429]


async def test_without_tokens_those_of_one_address_are_one_whatever_they_call_themselves(valkey: Valkey) -> None:
    async with running_app(valkey.url, public=True, rate=0.001, burst=20) as found:

        async def post(number: int, address: str) -> int:
            headers = {"User-Agent": f"agent {number}", "Cookie": f"gapless_token={number}"}
            headers |= {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": f"198.51.100.{number}"}
            body = {"data": 1, "user": f"user {number}"}
            return (await found.at(address).post(MESSAGES, json=body, headers=headers)).status_code

        statuses = await asyncio.gather(*(post(number, "203.0.113.7") for number in range(60)))
        assert (statuses.count(201), statuses.count(429)) == (20, 40)
        assert await post(1, "203.0.113.8") == 201, "another address is another"
