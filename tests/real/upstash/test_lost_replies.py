"""A publish whose reply is lost after it ran, two hundred times: once each with a `localId`, at most once without."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.testkit.checker import Minimum, check
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.raw_log import RawLog
from tests.testkit.reader import EventSourceReader
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.testkit.upstash.place import Place

pytestmark = [pytest.mark.real(seconds=5), pytest.mark.timeout(180)]

PUBLISHERS, LOST = 10, 200
CHANNEL = "general"
SETTINGS = {"GAPLESS_CAP": "20000"}


class Losses:
    """Ten who publish at two services, one who reads, and what the log holds in the end."""

    def __init__(self, place: Place, services: list[Service], client: httpx.AsyncClient, *, keyed: bool) -> None:
        self.place = place
        self.history = History()
        self.log = RawLog(place.store, CHANNEL)
        urls = [service.url for service in services]
        self.publishers = [
            Publisher(self.history, client, urls, CHANNEL, f"publisher {n}", keyed=keyed, seed=n)
            for n in range(PUBLISHERS)
        ]
        reading = self.history.reader("reader", CHANNEL, must_reach_head=True)
        self.reader = EventSourceReader(reading, f"{urls[0]}/channels/{CHANNEL}/stream", client=client)

    async def suffer(self, lost: int) -> None:
        """All publish until so many replies were lost; then the reader is waited for."""

        async def publish(one: Publisher) -> None:
            while self.place.up.hits()["drop_reply"] < lost:
                for _ in range(5):
                    await one.publish(f"{one.user} {sum(one.answers.values())}")

        async with self.reader:
            await self.reader.until(lambda r: r.opened, "hello")
            async with asyncio.TaskGroup() as group:
                for one in self.publishers:
                    group.create_task(publish(one))
            self.place.up.disarm()
            self.place.up.release()
            await self.reader.until_at({CHANNEL: (await self.publishers[0].publish("the last"))[-1]}, alarm=60)
        self.log.tell(self.history)

    @property
    def answers(self) -> dict[str, int]:
        """How often each answer came."""
        return {
            answer: sum(one.answers[answer] for one in self.publishers)
            for answer in sorted({answer for one in self.publishers for answer in one.answers})
        }

    def judge(self) -> None:
        """Nothing twice, nothing lost, every repetition answered with the first id; and the reader saw just the log."""
        check(self.history, Minimum(messages=100, published=100, readers=1)).require()


async def losses(
    tmp_path: Path, client: httpx.AsyncClient, *, keyed: bool, lost: int = LOST, **fault: Any
) -> dict[str, int]:
    """Suffer them, judge, and return the answers."""
    with upstash(tmp_path) as place:
        env = place.env(**SETTINGS)
        async with Service(env) as left, Service(env) as right:
            all_of_it = Losses(place, [left, right], client, keyed=keyed)
            await all_of_it.publishers[0].publish("the first")
            place.up.arm("drop_reply", match="EVALSHA", times=lost, **fault)
            await all_of_it.suffer(lost)
            assert place.up.hits()["drop_reply"] == lost
    all_of_it.judge()
    return all_of_it.answers


async def test_with_a_localid_after_it_ran(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """The service's own repetition says 201 with the id of its first attempt; only where both replies were lost is it
    the client's that finds the message, and says 200."""
    answers = await losses(tmp_path, client, keyed=True, run="first", probability=0.6)
    assert answers.keys() == {"201", "200", "503 unknown"}
    assert answers["200"] <= answers["503 unknown"] <= LOST // 2, "the service itself has tried each twice"


@pytest.mark.parametrize(("run", "lost"), [("late", 150), ("held", LOST)])
async def test_with_a_localid_when_the_first_attempt_arrives_after_its_repetition(
    run: str, lost: int, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """By 0.2 to 0.5 s; or at the very end, when all that was held back comes at once."""
    late = {"lo_ms": 200, "hi_ms": 500} if run == "late" else {}
    answers = await losses(tmp_path, client, keyed=True, lost=lost, run=run, probability=0.6, **late)
    assert answers.keys() <= {"201", "200", "503 unknown"}
    assert 0 < answers["503 unknown"] <= lost // 2


async def test_without_a_localid(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """It is never sent again: each loss is one 503 that says that nobody knows."""
    answers = await losses(tmp_path, client, keyed=False, run="first", probability=0.6)
    assert answers.keys() == {"201", "503 unknown"}
    assert answers["503 unknown"] == LOST
