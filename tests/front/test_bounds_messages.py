"""What docs/security.md says of messages, logs and pages, with the figures that stand there."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from gapless.api.schemas import Message
from gapless.delivery.mode import Mode
from gapless.platforms.policy import SERVER
from tests.front.test_bounds import MESSAGES
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.bounds import tries
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

LOG = "gapless:{a}:log"
CAP_BYTES = 1_048_576
"""The least that may be set: the default is 64 times that."""


def batch(count: int) -> list[dict[str, int]]:
    return [{"data": 1}] * count


async def post(found: RunningApp, body: Any) -> Any:
    return await found.client.post(MESSAGES, json=body)


@tries("a message, as stored", "GAPLESS_MAX_BODY", "2 KiB")
async def test_a_message(valkey: Valkey, told: tuple[int, int]) -> None:
    """Three bytes of a line separator are stored in six; numbers as they were sent."""
    most, separator = sum(told), "\u2028"
    room = most - len(Message(data="").draft(None).body)
    text = separator * (room // 6) + "x" * (room % 6)
    async with running_app(valkey.url) as found:
        for data, status in ((text, 201), (text + "x", 413)):
            body = json.dumps({"data": data}, ensure_ascii=False).encode()
            assert len(body) < told[0]
            reply = await found.client.post(MESSAGES, content=body, headers={"Content-Type": "application/json"})
            assert reply.status_code == status, reply.text
        many = b'{"data":[%b1e15]}' % (b"1e15," * (told[0] // 5 - 10))
        await found.client.post(MESSAGES, content=many, headers={"Content-Type": "application/json"})
    entries = [valkey.cli("LINDEX", LOG, at) for at in (0, 1)]
    assert all(told[0] - 100 < len(entry) < most + 200 for entry in entries)


@tries("messages per second and at once, per channel and subject", "GAPLESS_RATE", "GAPLESS_BURST")
async def test_the_rate_of_messages(valkey: Valkey, told: tuple[float, int]) -> None:
    rate, burst = told
    now = time.time()
    async with running_app(valkey.url, clock=lambda: now, cap=20, retention=3600, cap_bytes=CAP_BYTES) as found:
        sizes = [20] * (burst // 20)
        assert {(await post(found, batch(size))).status_code for size in sizes} == {201}
        refused = await post(found, batch(20))
    assert refused.status_code == 429
    assert refused.json()["retryAfterMs"] == pytest.approx(20 / rate * 1000, abs=2)


@tries("their bytes, as stored, where there is a rate", "GAPLESS_RATE_BYTES", "GAPLESS_BURST_BYTES")
async def test_the_rate_of_bytes(valkey: Valkey, told: tuple[float, int]) -> None:
    rate, burst = told
    now, text = time.time(), "x" * 130_000
    async with running_app(valkey.url, clock=lambda: now) as found:
        replies = [await post(found, {"data": text}) for _ in range(burst // len(text) + 2)]
    accepted = [reply.status_code for reply in replies].count(201)
    assert burst - 2 * len(text) < accepted * len(text) <= burst
    assert replies[-1].status_code == 429
    assert 0 < replies[-1].json()["retryAfterMs"] <= 2 * len(text) / rate * 1000


@tries("a channel's log", "GAPLESS_CAP")
async def test_a_log_in_messages(valkey: Valkey, told: tuple[int]) -> None:
    lengths = []
    async with running_app(valkey.url, rate=0) as found:
        for _ in range(3 * told[0] // 100):
            assert (await post(found, batch(100))).status_code == 201
            lengths.append(int(valkey.cli("LLEN", LOG)))
    assert told[0] <= max(lengths) <= told[0] * 5 / 4
    assert min(lengths[told[0] // 100 :]) >= told[0]


@tries("a channel's log", "GAPLESS_CAP_BYTES")
async def test_a_log_in_bytes(valkey: Valkey, told: tuple[int]) -> None:
    """With the least that may be set: to fill what is the default takes a minute."""
    assert CAP_BYTES <= told[0] <= 64 * CAP_BYTES
    async with running_app(valkey.url, rate=0, cap_bytes=CAP_BYTES) as found:
        for _ in range(20):
            assert (await post(found, {"data": "x" * 120_000})).status_code == 201
    kept = sum(map(len, valkey.cli("LRANGE", LOG, 0, -1)))
    assert CAP_BYTES * 3 / 4 - 130_000 < kept <= CAP_BYTES


@tries("a page of history", "200", "512 KiB", "192 KiB")
async def test_a_page(valkey: Valkey, told: tuple[int, int, int]) -> None:
    most, size, whole = told
    async with running_app(valkey.url, rate=0) as found:
        for _ in range(3):
            await post(found, batch(100))
        page = await found.client.get(f"{MESSAGES}?limit={most}")
        assert len(page.json()["messages"]) == most
        assert (await found.client.get(f"{MESSAGES}?limit={most + 1}")).status_code == 422
        for _ in range(60):
            await post(found, {"data": "x" * 20_000})
        page = await found.client.get(f"{MESSAGES}?limit={most}")
        assert size - 25_000 < len(page.content) < size + 500, "and what is around the messages"
    async with running_app(valkey.url, policy=SERVER._replace(mode=Mode.BUFFERED)) as found:
        page = await found.client.get(f"{MESSAGES}?limit={most}")
        assert whole - 25_000 < len(page.content) < whole + 500


@tries("a list of channels", "200")
async def test_a_list_of_channels(valkey: Valkey, told: tuple[int]) -> None:
    about = told[0]
    claims = claims_of(time.time())
    headers = bearer(Secret().sign({**claims, "gapless": {**claims["gapless"], "admin": True}}))
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        await found.client.post(MESSAGES, json={"data": 1}, headers=headers)
        for number in range(3 * about):
            valkey.cli("COPY", LOG, f"gapless:{{c{number}}}:log")
        page = (await found.client.get("/channels", headers=headers)).json()
    assert about / 2 <= len(page["channels"]) <= about * 2, "SCAN gives about what it was asked for"
    assert page["next"]


@tries("a token's life", "GAPLESS_TOKEN_MAX")
async def test_a_token(valkey: Valkey, told: tuple[float]) -> None:
    now = time.time()
    async with running_app(valkey.url, jwt_secret=SECRET, clock=lambda: now) as found:
        replies = [
            await found.client.get(
                MESSAGES, headers=bearer(Secret().sign(claims_of(now, exp=int(now + told[0] + more))))
            )
            for more in (-1, 60)
        ]
    assert [reply.status_code for reply in replies] == [200, 401]
    assert "GAPLESS_TOKEN_MAX" in replies[1].text
