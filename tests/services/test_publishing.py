"""Publishing without HTTP: what becomes of a publication, whose rate it counts towards, and who pays for nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gapless.auth.rates import TRAFFIC_UNIT
from gapless.channels.audience import FEW
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.channels.frames import Frame
from gapless.log.cursor import no_log
from gapless.log.entries import Draft
from gapless.log.errors import Conflict, TooMany, Unprocessable
from gapless.log.publication import Accepted, Limited, Outcome, Publication, Repeated
from gapless.services.publishing import Published, Publishing, PublishLimits, Sender
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time

LIMITS = PublishLimits(rate=10, burst=3, rate_bytes=1000, burst_bytes=5000)
FEEDS = FeedSettings(recheck=15, linger=0, retention=3600, page=64)


def message(data: str = "1", local_id: str | None = None) -> Draft:
    body = f'{{"event":"message","user":null,"data":{data},"localId":null}}'.encode()
    return Draft(body, hashlib.sha256(body).hexdigest()[:32], None, local_id)


@dataclass
class Answering(ModelStore):
    """Remembers what it was sent; answers `outcome` where there is one."""

    sent: list[Publication] = field(default_factory=list)  # type: ignore[assignment]
    outcome: Outcome | None = None

    async def publish(self, publication: Publication) -> Outcome:
        self.sent.append(publication)
        return self.outcome or await super().publish(publication)


def publishing(store: ModelStore, limits: PublishLimits = LIMITS) -> Publishing:
    return Publishing(store, Feeds(store, FEEDS, store.clock.now), lambda _: limits, store.clock.now, store.chance)


def sender(paid: list[float]) -> Sender:
    return Sender("ann", paid.append)


async def test_what_is_published_is_in_the_log() -> None:
    store, paid = ModelStore(), list[float]()
    published = await publishing(store).publish("c", (message("1"), message("2")), sender=sender(paid))
    assert [entry.position for entry in store.logs["c"]] == list(published.ids)
    assert published == Published(published.ids, int(store.clock.now() * 1000), duplicate=False)
    assert not paid, "what is written has its rate in the store"


async def test_a_feed_of_this_process_is_told_by_the_reply() -> None:
    store = ModelStore(notify=False)
    store.append("c", "1")
    feeds = Feeds(store, FEEDS, store.clock.now)
    async with feeds.open(["c"]) as [feed]:
        await feed.ready()
        (sent,) = (
            await Publishing(store, feeds, lambda _: LIMITS, store.clock.now, store.chance).publish("c", (message(),))
        ).ids
        assert feed.head == sent
    await feeds.close()


class Ear:
    """A reader: `told` holds what it was handed."""

    def __init__(self) -> None:
        self.position = no_log(0.0)
        self.told: list[str] = []

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        self.told += [str(frame.position) for frame in frames]


@pytest.mark.parametrize(("readers", "before"), [(1, True), (FEW, True), (FEW + 1, False)])
async def test_a_few_readers_are_told_before_the_publisher_and_many_do_not_keep_him_waiting(
    readers: int, before: bool
) -> None:
    store = ModelStore(notify=False)
    store.append("c", "1")
    feeds = Feeds(store, FEEDS, store.clock.now)
    ears = [Ear() for _ in range(readers)]
    async with feeds.open(["c"]) as [feed]:
        await feed.ready()
        for ear in ears:
            feed.audience.join(ear)  # type: ignore[arg-type]
        publisher = Publishing(store, feeds, lambda _: LIMITS, store.clock.now, store.chance)
        (sent,) = (await publisher.publish("c", (message(),))).ids
        assert [str(sent) in ear.told for ear in ears] == [before] * readers
    await feeds.close()


async def test_the_same_again_has_its_first_ids() -> None:
    store, paid = ModelStore(), list[float]()
    one = publishing(store)
    first = await one.publish("c", (message("1", "4f"),), sender=sender(paid))
    again = await one.publish("c", (message("1", "4f"),), sender=sender(paid))
    assert again == again._replace(ids=first.ids, duplicate=True)
    assert (len(store.logs["c"]), paid) == (1, [1])


class Twice(ModelStore):
    """The first reply is lost, so it finds what its own second attempt wrote."""

    async def publish(self, publication: Publication) -> Outcome:
        outcome = await super().publish(publication.again())
        assert isinstance(outcome, Accepted)
        return Repeated(tuple(entry.position for entry in outcome.entries), 7)


async def test_ones_own_ids_are_no_duplicate() -> None:
    published = await publishing(Twice()).publish("c", (message("1", "4f"),))
    assert (published.time, published.duplicate) == (7, False)


@pytest.mark.parametrize(
    ("batch", "words"), [(("1", "2"), "Part of this batch was published"), (("7",), "other content")]
)
async def test_a_key_that_was_used_for_something_else(batch: tuple[str, ...], words: str) -> None:
    store, paid = ModelStore(), list[float]()
    one = publishing(store)
    await one.publish("c", (message("1", "1"),))
    with pytest.raises(Conflict, match=words):
        await one.publish("c", tuple(message(data, "1" if data != "2" else "2") for data in batch), sender=sender(paid))
    assert (len(store.logs["c"]), paid) == (1, [1])


async def test_over_the_rate() -> None:
    store, paid = Answering(outcome=Limited(1500)), list[float]()
    large = message(f'"{"x" * 2 * TRAFFIC_UNIT}"')
    with pytest.raises(TooMany) as error:
        await publishing(store, LIMITS._replace(burst_bytes=10**6)).publish("c", (large,), sender=sender(paid))
    assert (error.value.retry_after, error.value.extra) == (1.5, {"retryAfterMs": 1500})
    assert paid == [3], "a command, and two for what travelled in vain"


async def test_the_processs_own_code_has_no_rate() -> None:
    store = Answering()
    await publishing(store).publish("c", tuple(message() for _ in range(10)), key="all")
    assert (store.sent[0].rate, store.sent[0].key) == (None, "all")


async def test_a_senders_rate_travels_with_its_messages() -> None:
    store = Answering()
    await publishing(store).publish("c", (message(),), sender=sender([]))
    rate = store.sent[0].rate
    assert rate is not None
    assert (rate.subject, rate.interval, rate.burst, rate.byte_interval, rate.byte_burst) == ("ann", 100, 3, 1, 5000)


@pytest.mark.parametrize(("count", "size", "words"), [(4, 1, "at most 3 messages"), (2, 2600, "at most 5000 bytes")])
def test_what_would_never_pass_is_refused(count: int, size: int, words: str) -> None:
    drafts = [message("1" * size)] * count
    with pytest.raises(Unprocessable, match=words):
        LIMITS.rate_of("ann", drafts)
    assert LIMITS._replace(rate=0).rate_of("ann", drafts) is None


def test_without_a_rate_for_bytes_they_are_not_counted() -> None:
    rate = LIMITS._replace(rate_bytes=0).rate_of("ann", [message("1" * 10_000)])
    assert rate is not None
    assert rate.byte_interval == 0
