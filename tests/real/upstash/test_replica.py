"""Reads from a replica up to 2 s behind; notices lost, doubled, late, foreign: at most delay, and no false `reset`."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.testkit.alarm import auntil
from tests.testkit.checker import Minimum, check
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.raw_log import RawLog
from tests.testkit.reader import EventSourceReader, Rotate
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.testkit.upstash.place import Place

pytestmark = [pytest.mark.real(seconds=25), pytest.mark.timeout(180)]

CHANNEL = "general"
PUBLISHERS, READERS, MESSAGES = 4, 10, 400
IN_VAIN = 30
"""Posts, of which no read was behind, after which the lag begins anew."""
ROTATIONS, FORGED, HITS = 4, 100, 10
# Feeds are closed with their last reader and opened anew, so that many reads happen.
SETTINGS = {"GAPLESS_RECHECK": "1", "GAPLESS_RETRY_MS": "50", "GAPLESS_LIFETIME": "1.5", "GAPLESS_LINGER": "0"}


async def spread(one: Publisher, count: int, seconds: float) -> None:
    """So many posts over so many seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(count):
        await asyncio.sleep(began + seconds * number / count - loop.time())  # the pace of a load, not a wait
        await one.publish_many(1)


async def forge(place: Place, least: int, stop: asyncio.Event) -> int:
    """Strangers speak on the same topic, in our form: of what nobody wrote, under numbers that are taken or will be.

    All but the chain they get right; whoever could forge that, too, has read the log, and may as well write it.
    """
    log, forged = RawLog(place.store, CHANNEL), 0
    while forged < least or not stop.is_set():
        newest = (await asyncio.to_thread(log.entries))[-1]
        body = newest.next("forged").body
        strange = [newest._replace(seq=newest.seq + ahead, mark="zzzz", prev="yyyy", body=body) for ahead in (0, 1, 2)]
        strange += [newest._replace(epoch="zz" + newest.epoch[2:], seq=seq, prev="0", body=body) for seq in (1, 9)]
        for told in (*map(str, strange), f"?{newest.epoch} {newest.seq + 9} zzzz", "?zzzzzzzz 1 zzzz", "hello", ""):
            await asyncio.to_thread(place.store.cli, "PUBLISH", f"gapless:0:{CHANNEL}", told)
            forged += 1
        try:
            async with asyncio.timeout(0.25):
                await stop.wait()
        except TimeoutError:
            continue
    return forged


async def fall_behind(place: Place) -> None:
    """Arm the lag where reads are: who reads more often than it lasts, and was once answered by the primary, would
    have each read answered there for ever, for no token that it gets is as old as the replica. So it has to be level
    with the primary when the lag begins. Whoever arms counts the hits: an arming may come to nothing.
    """
    place.up.disarm("lag")
    await auntil(place.up.caught_up, "the replica catches up", look=0.05)
    place.up.arm("lag", lo_ms=200, hi_ms=2000, may_miss=True)


async def test_behind_late_lost_doubled_and_foreign(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """All is posted at one process, which so reads what it wrote; it is the other that reads what is behind."""
    history = History()
    with upstash(tmp_path, "--replica") as place:
        env = place.env(**SETTINGS)
        async with Service(env) as left, Service(env) as right, AsyncExitStack() as stack:
            urls = [left.url, right.url]
            publishers = [
                Publisher(history, client, left.url, CHANNEL, f"publisher {n}", keyed=n % 2 == 0, seed=n)
                for n in range(PUBLISHERS)
            ]
            await publishers[0].publish("first")
            await fall_behind(place)
            place.up.arm("notice_drop", probability=0.1)
            place.up.arm("notice_duplicate", probability=0.2)
            place.up.arm("notice_reorder", probability=0.1)
            place.up.arm("notice_delay", probability=0.2, lo_ms=50, hi_ms=1500)
            readers = [
                EventSourceReader(
                    history.reader(f"reader {n}", CHANNEL, must_reach_head=True),
                    [f"{url}/channels/{CHANNEL}/stream" for url in urls],
                    client=client,
                    seed=n,
                    rotate=Rotate(seconds=(0.3, 3.0)) if n % 2 else None,
                )
                for n in range(READERS)
            ]
            for reader in readers:
                await stack.enter_async_context(reader)
            for reader in readers:
                await reader.until(lambda r: r.log.events, "hello", alarm=60)
            stop = asyncio.Event()
            forging = asyncio.create_task(forge(place, FORGED, stop))
            async with asyncio.TaskGroup() as group:
                for one in publishers:
                    group.create_task(spread(one, MESSAGES // PUBLISHERS, 10))

            seen, in_vain = 0, 0

            async def lagged() -> bool:
                """Enough reads were behind: how many are depends on who comes back just then, so it goes on."""
                nonlocal seen, in_vain
                await publishers[0].publish_many(1)
                before, seen = seen, place.up.hits()["lag"]
                in_vain = 0 if seen > before else in_vain + 1
                if in_vain >= IN_VAIN:
                    in_vain = 0
                    await fall_behind(place)
                return seen >= HITS

            await auntil(lagged, "reads that are behind", alarm=60, look=0.1)
            for reader in readers:
                await reader.until(lambda r: r.opened > ROTATIONS, f"to come back {ROTATIONS} times", alarm=60)
            stop.set()
            assert await forging >= FORGED
            log = RawLog(place.store, CHANNEL)
            head = {CHANNEL: log.entries()[-1].id}
            for reader in readers:
                await reader.until_at(head, alarm=60)
            hits = place.up.hits()
            assert min(hits[kind] for kind in ("lag", "notice_drop", "notice_duplicate", "notice_delay")) >= HITS, hits
            assert hits["notice_reorder"] >= 3, hits
            for service in (left, right):
                assert "Traceback" not in service.log
        log.tell(history)
    verdict = check(
        history, Minimum(messages=MESSAGES * READERS, published=MESSAGES, readers=READERS, reconnects_each=ROTATIONS)
    )
    verdict.require()
    assert not verdict.counts["gaps"], verdict.counts


async def test_a_reader_comes_to_a_process_whose_replica_is_behind(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """Its cursor is ahead of what is read there; then all that is missing comes, without another message."""
    history = History()
    with upstash(tmp_path, "--replica") as place:
        async with Service(place.env()) as left, Service(place.env()) as right:
            ann = Publisher(history, client, left.url, CHANNEL)
            await ann.publish_many(5)
            # It is behind for two reads, by count: the first, and the one that follows a second later. How long that
            # takes is the service's business alone, which believes its store after 3 s.
            place.up.arm("lag", lo_ms=60_000, hi_ms=60_000, match="LRANGE", times=2)
            ids = await ann.publish_many(5)
            reader = EventSourceReader(
                history.reader("late", CHANNEL, ids[1], must_reach_head=True),
                f"{right.url}/channels/{CHANNEL}/stream",
                client=client,
            )
            fresh = EventSourceReader(
                history.reader("fresh", CHANNEL), f"{right.url}/channels/{CHANNEL}/stream?history=10", client=client
            )
            async with reader:  # first: who asks for history has a script read, and scripts run on the primary
                await auntil(lambda: place.up.hits()["lag"], "a read of what is behind", look=0.1)
                await reader.until_at({CHANNEL: ids[-1]}, alarm=15)
                async with fresh:
                    await fresh.until_at({CHANNEL: ids[-1]}, alarm=15)
            assert place.up.hits()["lag"] == 2
        RawLog(place.store, CHANNEL).tell(history)
    verdict = check(history, Minimum(messages=3, published=10))
    verdict.require()
    assert json.dumps(verdict.counts["gaps"]) == "{}"
