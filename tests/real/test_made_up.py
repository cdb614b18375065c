"""What strangers and their inventions can make Redis do, in commands and bytes. (docs/security.md)"""

from __future__ import annotations

import asyncio
import secrets
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real(seconds=10), pytest.mark.timeout(120)]

SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_RECHECK": "3600"}
PATH = "/channels/general"
USUAL = 6
"""Seconds in which all have come and were answered, where the machine bears a hundred at once."""
FEW = 65_536
"""Bytes: replies without messages, and INFO's own."""


async def test_who_is_refused_costs_nothing(tmp_path: Path, client: httpx.AsyncClient) -> None:
    secret = secrets.token_urlsafe(32)
    with (
        start_valkey(tmp_path) as store,
        Service(SETTINGS | {"REDIS_URL": store.url, "GAPLESS_JWT_SECRET": secret}) as s,
    ):
        s.checked()
        with store.count_commands() as counted:
            for path in ("/stream", "/messages", "/messages?after=t9x2k0ab-9-aaaa&wait=5"):
                for headers in ({}, {"Authorization": "Bearer nonsense"}):
                    assert (await client.get(s.url + PATH + path, headers=headers)).status_code == 401
            assert (await client.post(s.url + PATH + "/messages", json={"data": 1})).status_code == 401
            assert (await client.delete(s.url + PATH)).status_code == 401
            assert (await client.get(s.url + "/channels")).status_code == 401
    assert counted == {}


async def test_what_is_malformed_costs_nothing(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with start_valkey(tmp_path) as store, Service(SETTINGS | {"REDIS_URL": store.url}) as service:
        url = service.url + PATH
        service.checked()
        with store.count_commands() as counted:
            for query in ("before=nonsense", "limit=0", "limit=201", "wait=5", "before=a&after=b", "wait=26&after=a"):
                assert (await client.get(f"{url}/messages?{query}")).status_code == 422
            for body in ("", "{", "{}", '{"data":1,"strange":1}', '[{"data":1},{}]', '{"data":1e999}'):
                sent = await client.post(f"{url}/messages", content=body, headers={"content-type": "application/json"})
                assert sent.status_code in (400, 422), body
            assert (await client.get(f"{service.url}/channels/a%20b/stream")).status_code == 422
    assert counted == {}


async def test_positions_that_somebody_made_up(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """A hundred at once, by long polls: most of them from the future."""
    with start_valkey(tmp_path) as store, Service(SETTINGS | {"REDIS_URL": store.url}) as service:
        url = f"{service.url}{PATH}/messages"
        service.checked()
        for _ in range(20):
            sent = await client.post(url, json={"data": "x" * 60_000})
        head = sent.json()["id"]
        epoch, seq, _ = head.split("-")
        async with client.stream("GET", f"{service.url}{PATH}/stream") as stream:
            await anext(stream.aiter_bytes())
            future = [f"{epoch}-{int(seq) + 1 + n}-aaaa" for n in range(50)] + [
                f"zzzzzz{n}-1-aaaa" for n in range(10, 60)
            ]
            before, began = store.sent(), monotonic()
            with store.count_commands() as counted:
                told = await asyncio.gather(
                    *(client.get(url, params={"after": at, "limit": 1}, timeout=60) for at in future)
                )
            assert {one.json()["gap"]["reason"] for one in told} == {"reset"}
            # One read a second for 3 s, on a machine that may stall; then the ends; then the oldest, which is owed.
            late = int(monotonic() - began) // USUAL  # who comes later than the others has waited by himself
            assert counted["evalsha"] <= 10 * (1 + late), counted
            assert counted["lrange"] <= 20 * (1 + late), counted
            sent = FEW + 1.3 * sum(len(one.content) for one in told[:1]) + 10 * 61_000
            assert store.sent() - before <= sent * (1 + late)
            wrong = [f"{epoch}-{n}-zzzz" for n in range(1, 18)]
            before = store.sent()
            with store.count_commands() as counted:
                told = [await client.get(url, params={"after": at, "limit": 1}) for at in wrong]
            assert {one.json()["gap"]["reason"] for one in told} == {"reset"}
            assert counted["evalsha"] <= 3 * len(wrong)
            assert store.sent() - before <= FEW + 1.3 * sum(len(one.content) for one in told)


async def test_long_polls_that_nobody_waits_for(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """They share what one costs."""
    with start_valkey(tmp_path) as store, Service(SETTINGS | {"REDIS_URL": store.url}) as service:
        url = f"{service.url}{PATH}/messages"
        head = (await client.post(url, json={"data": 1})).json()["id"]
        service.checked()
        with store.count_commands() as counted:
            for _ in range(20):
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(url, params={"after": head, "wait": 20}, timeout=httpx.Timeout(10, read=0.1))
    assert sum(counted.values()) <= 3, counted
