"""What each thing costs in Redis commands, those inside scripts included: every one may be on a bill."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.testkit.byte_crowd import crowd
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.testkit.valkey import Counted, Valkey

pytestmark = [pytest.mark.real(seconds=8), pytest.mark.timeout(180)]

# Nothing here is owed to the recheck but where a test shortens it. 3 s after a notice, once a minute at most, a feed
# reads for a lost last one: a test counts what happens before, or goes past that first.
SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_RECHECK": "3600", "GAPLESS_HEARTBEAT": "0.2"}
CHANNEL = "general"
OWED = Counter(lrange=1)
"""That read, where a machine that stalls leaves 3 s between two notices."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Valkey]:
    """One of its own, to which nobody else talks."""
    with start_valkey(tmp_path / "valkey") as store:
        yield store


@contextmanager
def serving(store: Valkey, **settings: str) -> Iterator[Service]:
    with Service(SETTINGS | settings | {"REDIS_URL": store.url}) as service:
        yield service.checked()


def reads(counted: Counted) -> int:
    """Commands that look at a log: LRANGE, or a script around it."""
    return counted["lrange"] + counted["lindex"] + counted["llen"] + counted["evalsha"] + counted["eval"]


@pytest.mark.parametrize(("keyed", "most"), [(False, 4.3), (True, 5.3)], ids=["plain", "with a localId"])
async def test_a_publish(keyed: bool, most: float, store: Valkey, client: httpx.AsyncClient) -> None:
    """On average, once the log is full and so is trimmed now and then; while somebody reads."""
    with serving(store, GAPLESS_CAP="100") as service:
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=keyed)
        async with visit(f"{service.url}/channels/{CHANNEL}/stream", client=client) as reader:
            await reader.next("hello")
            for _ in range(2):  # never more than the log keeps, or a slow reader would be told of a gap
                await ann.publish_many(65, most=65)
                await reader.messages(65)
            assert store.cli("LLEN", f"gapless:{{{CHANNEL}}}:log") >= 100
            with store.count_commands() as counted:
                await ann.publish_many(100)
                await reader.messages(100, alarm=30)
    assert ann.answers.keys() == {"201"}
    assert counted["evalsha"] == counted["rpush"] == counted["publish"] == 100
    assert counted["ltrim"] >= 2
    assert sum(counted.values()) / 100 <= most, counted


@pytest.mark.parametrize("readers", [1, 100])
async def test_a_delivery_to_open_streams(readers: int, store: Valkey, client: httpx.AsyncClient) -> None:
    """Nothing beyond the publish itself, however many read."""
    with serving(store) as service:
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=False)
        await ann.publish(0)
        async with crowd() as people:
            await people.join(service, CHANNEL, readers)
            with store.count_commands() as counted:
                for number in range(1, 11):
                    await ann.publish(f"number {number}.")
                    await people.until_all_heard(b'"number %d."' % number)
    counted -= OWED
    assert counted == {"evalsha": 10, "lindex": 10, "rpush": 10, "publish": 10}


async def test_idle_streams_between_rechecks(store: Valkey, client: httpx.AsyncClient) -> None:
    """Nothing at all; heartbeats go out meanwhile. That there is a count is seen by the one read after a silence."""
    with serving(store) as service:
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=False)
        await ann.publish(0)
        async with crowd() as people, visit(f"{service.url}/channels/{CHANNEL}/stream", client=client) as reader:
            await people.join(service, CHANNEL, 50)
            await reader.next("hello")
            with store.count_commands() as counted:
                await ann.publish(1)
                await reader.messages(1)
                await reader.heartbeats(25, alarm=60)  # past the read 3 s after a notice
            assert counted == {"evalsha": 1, "lindex": 1, "rpush": 1, "publish": 1, "lrange": 1}
            with store.count_commands() as counted:
                await reader.heartbeats(10, alarm=30)
            assert counted == {}


async def test_a_recheck_costs_one_read_for_all_streams(store: Valkey, client: httpx.AsyncClient) -> None:
    with serving(store, GAPLESS_RECHECK="0.5") as service:
        await Publisher(History(), client, service.url, CHANNEL, keyed=False).publish(1)
        async with crowd() as people, visit(f"{service.url}/channels/{CHANNEL}/stream", client=client) as reader:
            await people.join(service, CHANNEL, 50)
            await reader.next("hello")
            with store.count_commands() as counted:
                await reader.heartbeats(20, alarm=60)
    # 20 heartbeats of 0.2 s: some eight rechecks of 0.5 s, and no more than two a heartbeat on a machine that stalls.
    assert counted.keys() == {"lrange"}
    assert 3 <= counted["lrange"] <= 40


async def test_a_thousand_streams_join_a_warm_channel(store: Valkey, client: httpx.AsyncClient) -> None:
    with serving(store, GAPLESS_HEARTBEAT="60") as service:
        ids = await Publisher(History(), client, service.url, CHANNEL, keyed=False).publish_many(3)
        async with crowd() as people, visit(f"{service.url}/channels/{CHANNEL}/stream", client=client) as first:
            await first.next("hello")
            with store.count_commands() as counted:
                await people.join(service, CHANNEL, 500)
                await people.join(service, CHANNEL, 500, ids[0])
                await people.until_all_heard(b"event: hello")
    assert reads(counted) == sum(counted.values()) <= 2, counted


async def test_a_reconnect_to_a_warm_process(store: Valkey, client: httpx.AsyncClient) -> None:
    """With and without messages to catch up with; also after the last reader has left, while the feed is kept."""
    with serving(store) as service:
        url = f"{service.url}/channels/{CHANNEL}/stream"
        ann = Publisher(History(), client, service.url, CHANNEL, keyed=False)
        async with visit(url, client=client) as reader:
            await reader.next("hello")
            ids = await ann.publish_many(5)
            await reader.messages(5)
            await reader.heartbeats(25, alarm=60)  # past the read 3 s after a notice
        with store.count_commands() as counted:
            for index, id_ in enumerate(ids):
                async with visit(url, id_, client=client) as reader:
                    assert (await reader.next("hello")).id == id_
                    await reader.messages(4 - index)
    assert counted == Counter()
