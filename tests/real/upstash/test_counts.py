"""What each thing costs on Upstash's bill, commands inside scripts included."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.testkit.byte_crowd import crowd
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.testkit.upstash.place import Place
    from tests.testkit.visit import Visit

pytestmark = [pytest.mark.real(seconds=10), pytest.mark.timeout(180)]

# No recheck. 3 s after it began to hear a feed reads once more, for what a replica may have withheld, and once 3 s
# after a notice: a test that counts nothing goes past both.
SETTINGS = {"GAPLESS_RECHECK": "3600", "GAPLESS_HEARTBEAT": "0.2"}
CHANNEL = "general"
ONE = {"EVALSHA": 1, "LINDEX": 1, "RPUSH": 1, "PUBLISH": 1}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with upstash(tmp_path) as place:
        yield place


@contextmanager
def serving(place: Place, **settings: str) -> Iterator[Service]:
    with Service(place.env(**SETTINGS) | settings) as service:
        yield service.checked()


def stream(service: Service) -> str:
    return f"{service.url}/channels/{CHANNEL}/stream"


async def rested(reader: Visit) -> None:
    """Past the reads that follow the beginning and a notice."""
    await reader.heartbeats(25, alarm=60)


@pytest.mark.parametrize(("keyed", "most"), [(False, 4.3), (True, 5.3)], ids=["plain", "with a localId"])
async def test_a_publish(keyed: bool, most: float, place: Place, client: httpx.AsyncClient) -> None:
    """On average, once the log is full and so is trimmed now and then; while somebody reads."""
    with serving(place, GAPLESS_CAP="100") as service:
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=keyed)
        async with visit(stream(service), client=client) as reader:
            await reader.next("hello")
            for _ in range(2):  # never more than the log keeps, or a slow reader would be told of a gap
                await ann.publish_many(65, most=65)
                await reader.messages(65, alarm=60)
            assert place.store.cli("LLEN", f"gapless:{{{CHANNEL}}}:log") >= 100
            place.up.reset_counts()
            await ann.publish_many(100)
            await reader.messages(100, alarm=60)
            bill = place.bill()
    assert ann.answers.keys() == {"201"}
    assert bill["EVALSHA"] == bill["RPUSH"] == bill["PUBLISH"] == 100
    assert bill["LTRIM"] >= 2
    assert bill.total() / 100 <= most, bill


@pytest.mark.parametrize("readers", [1, 100])
async def test_a_delivery_to_open_streams(readers: int, place: Place, client: httpx.AsyncClient) -> None:
    """Nothing beyond the publish itself, however many read."""
    with serving(place) as service:
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=False)
        await ann.publish(0)
        async with crowd() as people, visit(stream(service), client=client) as reader:
            await people.join(service, CHANNEL, readers)
            await reader.next("hello")
            await ann.publish("rest.")
            await reader.messages(1)
            await rested(reader)
            place.up.reset_counts()
            for number in range(1, 11):
                await ann.publish(f"number {number}.")
                await people.until_all_heard(b'"number %d."' % number)
            assert place.bill() == {name: 10 * count for name, count in ONE.items()}


async def test_idle_streams_between_rechecks(place: Place, client: httpx.AsyncClient) -> None:
    """Nothing at all; heartbeats go out meanwhile. That there is a count is seen by what came before."""
    with serving(place) as service:
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=False)
        await ann.publish(0)
        place.up.reset_counts()  # before the visit: a head may come before or after what its feed asks
        async with crowd() as people, visit(stream(service), client=client) as reader:
            await people.join(service, CHANNEL, 50)
            await reader.next("hello")
            await ann.publish(1)
            await reader.messages(1)
            await rested(reader)
            bill = place.up.counts()
            assert 1 <= bill.pop("LRANGE") <= 3
            assert bill == {**ONE, "SUBSCRIBE": 1}
            place.up.reset_counts()
            await reader.heartbeats(10, alarm=30)
            assert place.up.counts() == {}


async def test_a_recheck_costs_one_read_for_all_streams(place: Place, client: httpx.AsyncClient) -> None:
    with serving(place, GAPLESS_RECHECK="0.5") as service:
        await Publisher(History(), client, service.url, CHANNEL, keyed=False).publish(1)
        async with crowd() as people, visit(stream(service), client=client) as reader:
            await people.join(service, CHANNEL, 50)
            await reader.next("hello")
            place.up.reset_counts()
            await reader.heartbeats(20, alarm=60)
            bill = place.bill()
    # 20 heartbeats of 0.2 s: some eight rechecks of 0.5 s, and no more than two a heartbeat on a machine that stalls.
    assert bill.keys() == {"LRANGE"}
    assert 3 <= bill["LRANGE"] <= 40


async def test_a_thousand_streams_join_a_channel(place: Place, client: httpx.AsyncClient) -> None:
    with serving(place, GAPLESS_HEARTBEAT="60") as service:
        ids = await Publisher(History(), client, service.url, CHANNEL, keyed=False).publish_many(3)
        place.up.reset_counts()
        async with crowd() as people, visit(stream(service), client=client) as first:
            await first.next("hello")
            await people.join(service, CHANNEL, 500)
            await people.join(service, CHANNEL, 500, ids[0])
            await people.until_all_heard(b"event: hello")
            bill = place.up.counts()
    assert bill.pop("SUBSCRIBE") == 1
    assert bill.keys() <= {"LRANGE", "UNSUBSCRIBE"}
    assert bill["LRANGE"] <= 2, bill


async def test_a_reconnect_to_a_warm_process(place: Place, client: httpx.AsyncClient) -> None:
    """With and without messages to catch up with; also after the last reader has left, while the feed is kept."""
    with serving(place) as service:
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=False)
        async with visit(stream(service), client=client) as reader:
            await reader.next("hello")
            ids = await ann.publish_many(5)
            await reader.messages(5)
            await rested(reader)
        place.up.reset_counts()
        for index, id_ in enumerate(ids):
            async with visit(stream(service), id_, client=client) as reader:
                assert (await reader.next("hello")).id == id_
                await reader.messages(4 - index)
        assert place.up.counts() == {}
