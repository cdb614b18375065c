"""SUBSCRIBE refused, silent or cut: polling within its interval, taken up again, noticed within the bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gapless.stores.topic import DOUBT
from gapless.stores.upstash.gate import TRY_AGAIN
from gapless.stores.upstash.poll import POLL
from tests.testkit.alarm import auntil
from tests.testkit.byte_crowd import crowd
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.testkit.upstash.place import Place

pytestmark = [pytest.mark.real(seconds=12), pytest.mark.timeout(180)]

CHANNEL = "general"
# Nothing here is owed to the recheck but where a test shortens it.
SETTINGS = {"GAPLESS_RECHECK": "3600", "GAPLESS_HEARTBEAT": "0.2", "GAPLESS_RETRY_MS": "50"}
TICKS = 4
"""Polls of a quiet channel that are counted."""


def stream(service: Service) -> str:
    return f"{service.url}/channels/{CHANNEL}/stream"


async def subscribed(place: Place, count: int, alarm: float) -> None:
    await auntil(lambda: len(place.up.upstreams()) == count, f"{count} open subscriptions", alarm=alarm)


@pytest.mark.real(seconds=40)
@pytest.mark.timeout(225)  # SUBSCRIBE is tried again after 5, 10, 20, 40 and 60 s: what is late is later twice
async def test_refused_and_taken_up_again(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """What is posted elsewhere is told within the interval; one read a tick, for one reader as for fifty; and when
    SUBSCRIBE works again, nothing is read any more."""
    with upstash(tmp_path) as place:
        env = place.env(**SETTINGS)
        async with Service(env) as here, Service(env) as there, crowd() as people:
            ann = Publisher(History(), client, there.url, CHANNEL, keyed=False)
            await ann.publish("first")
            place.up.arm("refuse_subscribe")
            async with visit(stream(here), client=client) as reader:
                await reader.next("hello")
                for number in range(3):
                    await assert_told_in_time(ann, reader, f"number {number}")
                alone = await ticks(place)
                await people.join(here, CHANNEL, 50)
                await assert_told_in_time(ann, reader, "for fifty.")
                await people.until_all_heard(b'"for fifty."')
                together = await ticks(place)
                assert together <= 2 * alone, "one read a tick, however many read"

                place.up.disarm("refuse_subscribe")
                await subscribed(place, 1, alarm=5 * TRY_AGAIN[1])
                await ann.publish("live again.")
                await reader.messages(1)
                await reader.heartbeats(25, alarm=60)  # past the read 3 s after a notice
                place.up.reset_counts()
                for number in range(3):
                    await ann.publish(f"live {number}")
                    await reader.messages(1)
                await reader.heartbeats(25, alarm=60)
                assert place.bill()["LRANGE"] <= 1, "no polling any more"
                assert "Traceback" not in here.log


async def assert_told_in_time(ann: Publisher, reader: object, text: str) -> None:
    loop = asyncio.get_running_loop()
    [_] = await ann.publish(text)
    sent = loop.time()
    assert await reader.messages(1, alarm=30) == [text]  # type: ignore[attr-defined]
    assert loop.time() - sent <= 5 * POLL[1]


async def ticks(place: Place) -> float:
    """Reads a second, after the channel has been quiet for a while, so that it is polled at the longest interval."""
    loop = asyncio.get_running_loop()
    place.up.reset_counts()
    await auntil(lambda: place.bill()["LRANGE"] >= TICKS, "it is polled", alarm=60)
    place.up.reset_counts()
    began = loop.time()
    await auntil(lambda: place.bill()["LRANGE"] >= 2, "twice more", alarm=60)
    bill = place.bill()
    assert bill.keys() == {"LRANGE"}
    return bill["LRANGE"] / (loop.time() - began)


async def test_a_subscription_that_falls_silent_for_ever(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """A reader where nobody posts: the message comes by the recheck, a new subscription soon after."""
    recheck = 2.0
    with upstash(tmp_path) as place:
        env = place.env(**SETTINGS | {"GAPLESS_RECHECK": str(recheck)})
        async with Service(env) as here, Service(env) as there:
            ann = Publisher(History(), client, there.url, CHANNEL, keyed=False)
            async with visit(stream(here), client=client) as reader:
                await reader.next("hello")
                await ann.publish("heard")
                await reader.messages(1)
                assert place.up.freeze() == 1
                loop = asyncio.get_running_loop()
                began = loop.time()
                await ann.publish("not heard")
                assert await reader.messages(1, alarm=60) == ["not heard"]
                assert loop.time() - began <= 5 * recheck
                await auntil(
                    lambda: place.up.counts()["SUBSCRIBE"] >= 2, "opened anew", alarm=5 * (recheck + sum(DOUBT))
                )
                await subscribed(place, 1, alarm=10)
                began = loop.time()
                await ann.publish("heard again")
                assert await reader.messages(1) == ["heard again"]
                assert not reader.closed, "the stream was open all the time"


async def test_a_subscription_that_falls_silent_where_somebody_posts(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """Noticed by the missing notice of its own message, with no recheck at all."""
    with upstash(tmp_path) as place:
        async with Service(place.env(**SETTINGS)) as here:
            ann = Publisher(History(), client, here.url, CHANNEL, keyed=False)
            async with visit(stream(here), client=client) as reader:
                await reader.next("hello")
                assert place.up.freeze() == 1
                await ann.publish("told by the reply")
                assert await reader.messages(1) == ["told by the reply"]
                await auntil(lambda: place.up.counts()["SUBSCRIBE"] >= 2, "opened anew", alarm=5 * sum(DOUBT))
                await reader.heartbeats(3)
                assert not reader.closed


async def test_cut_again_and_again(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """Ended in order or by a reset, in the middle of everything: the open stream goes on, and misses nothing."""
    with upstash(tmp_path) as place:
        env = place.env(**SETTINGS)
        async with Service(env) as here, Service(env) as there:
            ann = Publisher(History(), client, there.url, CHANNEL, keyed=False)
            async with visit(stream(here), client=client) as reader:
                await reader.next("hello")
                for turn in range(6):
                    await subscribed(place, 1, alarm=30)
                    if (
                        turn == 3
                    ):  # a stream ends after 3 s without a subscription, and each soon failure doubles the pause
                        await reader.heartbeats(15, alarm=60)
                    assert place.up.cut(how="reset" if turn % 2 else "close") == 1
                    await ann.publish_many(5)
                assert await reader.messages(30, alarm=30) == [f"ann {number}" for number in range(1, 31)]


async def test_sixty_channels_share_a_bounded_number_of_subscriptions(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """Fifty of their own, one for all the rest; every channel hears its own, live."""
    with upstash(tmp_path) as place:
        env = place.env(**SETTINGS)
        async with Service(env) as here, Service(env) as there:
            names = [f"c{number}" for number in range(60)]
            urls = ["&".join(f"channel={name}" for name in names[first : first + 15]) for first in range(0, 60, 15)]
            visits = [visit(f"{here.url}/stream?{url}", client=client) for url in urls]
            async with visits[0] as one, visits[1] as two, visits[2] as three, visits[3] as four:
                for reader in (one, two, three, four):
                    await reader.next("hello")
                await subscribed(place, 51, alarm=30)
                paths = place.up.upstreams()
                assert sum(path.startswith("/psubscribe/") for path in paths) == 1
                place.up.reset_counts()
                for name in names:
                    await Publisher(History(), client, there.url, name, keyed=False).publish(name)
                for index, reader in enumerate((one, two, three, four)):
                    heard = await reader.messages(15, alarm=30)  # between channels there is no order
                    assert sorted(heard) == sorted(names[index * 15 : index * 15 + 15])
                assert place.bill()["PUBLISH"] == 60
