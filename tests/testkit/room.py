"""Two processes on one store, and a channel of a test's own on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import uuid4

from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.raw_log import RawLog
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx

    from tests.testkit.valkey import Valkey
    from tests.testkit.visit import Said, Visit

Where = Literal["warm", "cold"]
SMALL = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_CAP": "20"}
"""No limits of rate, and a log that is soon trimmed."""


class Services(NamedTuple):
    """At `warm` readers come and go, and messages are posted; at `cold` nobody has read a channel before."""

    store: Valkey
    warm: Service
    cold: Service


@contextmanager
def open_services(folder: Path, settings: Mapping[str, str]) -> Iterator[Services]:
    """Start all three."""
    with start_valkey(folder) as store:
        env = {**settings, "REDIS_URL": store.url}
        with Service(env) as warm, Service(env) as cold:
            yield Services(store, warm, cold)


class Room:
    """One channel, its log, and Ann, who posts there at the warm process."""

    def __init__(self, services: Services, client: httpx.AsyncClient, history: History | None = None) -> None:
        self.channel = uuid4().hex
        self.log = RawLog(services.store, self.channel)
        self.history = history or History()
        self.ann = Publisher(self.history, client, services.warm.url, self.channel)
        self.publish = self.ann.publish_many

    async def flood(self, count: int = 60) -> None:
        """So many messages, so large that a warm process forgets most of them, as the log does."""
        for number in range(len(self.ann.ids) + 1, len(self.ann.ids) + 1 + count):
            await self.ann.publish(f"ann {number}".ljust(10_000))


def one(services: Services, where: Where, room: Room) -> str:
    """The stream of one channel, at one of the processes."""
    return f"{getattr(services, where).url}/channels/{room.channel}/stream"


def many(services: Services, where: Where, *rooms: Room) -> str:
    """The stream of several."""
    return f"{getattr(services, where).url}/stream?" + "&".join(f"channel={room.channel}" for room in rooms)


def from_ann(first: int, last: int) -> list[str]:
    """What Ann's messages of these numbers say."""
    return [f"ann {number}" for number in range(first, last + 1)]


async def heard(visited: Visit, count: int, *, alarm: float = 10.0) -> list[str]:
    """What the next so many messages say, without what makes them large."""
    return [text.strip() for text in await visited.messages(count, alarm=alarm)]


def of(room: Room, said: list[Said]) -> list[str]:
    """What the messages of one channel say."""
    return [one.data["data"].strip() for one in said if one.event == "message" and one.data["channel"] == room.channel]


def assert_gap(said: Said, room: Room, reason: str, missed: int | None = None, *, meanwhile: int = 0) -> None:
    """It is a gap of this reason, after which the stream goes on with the oldest message that is kept.

    It names the log's latest message as of then: one of the last so many may have been posted `meanwhile`.
    """
    kept = room.log.entries()
    oldest, latests = (kept[0].id, [entry.id for entry in kept[-1 - meanwhile :]]) if kept else (None, [None])
    told = {"channel": room.channel, "reason": reason, "missed": missed, "oldest": oldest}
    assert (said.event, {name: value for name, value in said.data.items() if name != "latest"}) == ("gap", told)
    assert said.data["latest"] in latests
    if kept and said.id is not None and "." not in said.id:
        assert place(said.id) == (kept[0].epoch, kept[0].seq - 1)


def place(id_: str | None) -> tuple[str, int]:
    """Epoch and number of a position."""
    assert id_ is not None
    epoch, seq, _ = id_.split("-")
    return epoch, int(seq)
