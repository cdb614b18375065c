"""Subscribed means acknowledged; lost and heard mean what they say; after close nobody is called."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gapless.log.cursor import Position
from gapless.log.entries import Entry, format_entry, format_notice
from gapless.log.store import NOTICE_LIMIT, Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import Heard, entries, publication
from tests.testkit.alarm import auntil

TOPIC = "gapless:0:c"


async def post(store: Store, channel: str, count: int = 1, size: int = 1) -> list[Position]:
    """So many publications; the positions in order."""
    made = [entries(await store.publish(publication(channel, *range(size)))) for _ in range(count)]
    return [entry.position for one in made for entry in one]


async def hear(heard: Heard, *wanted: Position) -> None:
    """Return once all of these were told."""
    await auntil(lambda: set(wanted) <= set(heard.positions), f"told of {len(wanted)} messages")


async def test_what_is_appended_from_then_on_is_told(open_store: Open) -> None:
    """Often, and by another process: a subscription that is not acknowledged misses one of them."""
    here, there = open_store(), open_store()
    for turn in range(12):
        heard = Heard()
        subscription = await here.subscribe(f"c{turn}", heard)
        await hear(heard, *await post(there, f"c{turn}"))
        assert len(heard.told) == 1
        await subscription.close()


async def test_a_notice_carries_the_entries_of_its_publication(store: Store) -> None:
    heard = Heard()
    await store.subscribe("c", heard)
    single = entries(await store.publish(publication("c", "é\t\n?")))
    batch = entries(await store.publish(publication("c", *range(20))))
    await hear(heard, batch[-1].position)
    assert [tuple(told) for told in heard.told] == [single, batch]


async def test_only_its_own_channel_is_told(store: Store) -> None:
    heards = {channel: Heard() for channel in ("a", "b", "a:b", "A", "a*")}
    for channel, heard in heards.items():
        await store.subscribe(channel, heard)
    posted = {channel: await post(store, channel, 2) for channel in heards}
    for channel, heard in heards.items():
        await hear(heard, *posted[channel])
        assert heard.positions == posted[channel]


async def test_all_listeners_of_a_channel_are_told_and_leave_alone(store: Store) -> None:
    first, second = Heard(), Heard()
    one, two = await asyncio.gather(store.subscribe("c", first), store.subscribe("c", second))
    both = await post(store, "c")
    await hear(first, *both)
    await hear(second, *both)
    await one.close()
    alone = await post(store, "c")
    await hear(second, *alone)
    assert first.positions == both
    await two.close()


async def test_after_close_nobody_is_called(servers: Backend, open_store: Open) -> None:
    here, there = open_store(), open_store()
    closed, open_ = Heard(), Heard()
    subscription = await here.subscribe("c", closed)
    await here.subscribe("d", open_)
    told = await post(there, "c")
    await hear(closed, *told)
    await subscription.close()
    await subscription.close()
    await post(there, "c", 3)
    await hear(open_, *await post(there, "d"))
    servers.silence()
    await auntil(lambda: "heard" in open_.calls, "the other hears again")
    assert closed.calls == ["notice"]


async def test_who_comes_back_is_told_again(open_store: Open) -> None:
    here, there = open_store(), open_store()
    for _ in range(10):
        heard = Heard()
        subscription = await here.subscribe("c", heard)
        posted = await post(there, "c")
        await hear(heard, *posted)
        assert heard.positions.count(posted[0]) == 1
        await subscription.close()


async def test_many_come_and_go_at_once(open_store: Open) -> None:
    here, there = open_store(), open_store()

    async def visit(number: int) -> None:
        for _ in range(4):
            heard = Heard()
            subscription = await here.subscribe(f"c{number % 3}", heard)
            await hear(heard, *await post(there, f"c{number % 3}"))
            await subscription.close()

    await asyncio.gather(*(visit(number) for number in range(9)))


async def test_a_subscription_that_is_given_up_harms_nobody(open_store: Open) -> None:
    here, there = open_store(), open_store()
    for channel in ("c", "c", "d"):
        giving_up = asyncio.create_task(here.subscribe(channel, Heard()))
        await asyncio.sleep(0)
        giving_up.cancel()
        await asyncio.gather(giving_up, return_exceptions=True)
        assert giving_up.cancelled()
    heard = Heard()
    await here.subscribe("c", heard)
    await hear(heard, *await post(there, "c"))
    assert len(heard.told) == 1


async def test_who_is_suspected_of_silence_hears_on(open_store: Open) -> None:
    here, there = open_store(), open_store()
    heard = Heard()
    subscription = await here.subscribe("c", heard)
    await hear(heard, *await post(there, "c"))
    subscription.suspect()
    await auntil(lambda: heard.calls.count("lost") == heard.calls.count("heard"), "it hears, or hears again")
    await hear(heard, *await post(there, "c"))


async def test_a_listener_that_breaks_silences_no_other(servers: Backend, open_store: Open) -> None:
    """No listener may raise; one that does all the same must not end everybody's hearing."""

    class Broken(Heard):
        def notice(self, entries: object) -> None:
            raise RuntimeError("broken on purpose")

    here, there = open_store(), open_store()
    heard = Heard()
    await here.subscribe("c", Broken())
    await here.subscribe("d", heard)
    await post(there, "c")

    first = await post(there, "d")
    await auntil(
        lambda: "heard" in heard.calls or set(first) <= set(heard.positions), "the other hears, or hears again"
    )
    await hear(heard, *await post(there, "d"))


# --- a notice too large to travel


async def test_a_large_notice_names_only_the_newest_position(servers: Backend, store: Store) -> None:
    heard = Heard()
    await store.subscribe("c", heard)
    large = entries(await store.publish(publication("c", "x" * 40_000, "y" * 40_000)))
    small = entries(await store.publish(publication("c", "z" * 60_000)))
    await hear(heard, small[-1].position)
    assert heard.told == [large[-1].position, [*small]]


def after(entry: Entry, body: bytes) -> Entry:
    """What follows it: where it starts takes more digits the more is before it."""
    position = entry.position._replace(seq=entry.position.seq + 1)
    return replace(entry, position=position, start=(entry.start or 0) + len(format_entry(entry)), body=body)


async def test_the_limit_is_that_of_the_notice_and_not_of_a_message(servers: Backend, store: Store) -> None:
    """`format_notice` says what the script says, to the byte."""
    heard = Heard()
    await store.subscribe("c", heard)
    _, last = entries(await store.publish(publication("c", "", "")))
    body, made = last.body, []
    for more in (-1, 0, 1):
        room = NOTICE_LIMIT - len(format_notice([after(last, body)], NOTICE_LIMIT))
        made.append(entries(await store.publish(publication("c", "x" * (room + more)))))
        [last] = made[-1]
    await hear(heard, made[-1][0].position)
    assert heard.told[1:] == [[*made[0]], [*made[1]], made[2][0].position]
    assert [format_notice(one, NOTICE_LIMIT)[:1] == b"?" for one in made] == [False, False, True]


# --- what others send


async def test_a_foreign_notice_is_ignored(servers: Backend, store: Store) -> None:
    heard = Heard()
    await store.subscribe("c", heard)
    assert sum(valkey.cli("PUBSUB", "NUMSUB", TOPIC)[1] for valkey in servers.valkeys) == 1
    for garbage in ("", "hello", "?", "?a b c", "\t", '{"event":"message"}', b"\xff\xfe", "t9x2k0ab 1 7qd1 0 5 {}"):
        servers.keeper("c").cli("PUBLISH", TOPIC, garbage)
    told = await post(store, "c")
    await hear(heard, *told)
    assert heard.calls == ["notice"]


async def test_a_service_of_another_prefix_is_another_service(servers: Backend, open_store: Open) -> None:
    ours, theirs = open_store(), open_store(prefix="other")
    heard, foreign = Heard(), Heard()
    await ours.subscribe("c", heard)
    await theirs.subscribe("c", foreign)
    told = await post(theirs, "c")
    await hear(foreign, *told)
    mine = await post(ours, "c")
    await hear(heard, *mine)
    assert heard.positions == mine
    assert await ours.tail("c", 10) != await theirs.tail("c", 10)


# --- silent, and again not


async def test_a_loss_is_told_and_all_after_it_is_heard_again(servers: Backend, open_store: Open) -> None:
    here, there = open_store(), open_store()
    heards = {channel: Heard() for channel in "cde"}
    for channel, heard in heards.items():
        await here.subscribe(channel, heard)
        await hear(heard, *await post(there, channel))
    assert servers.silence() > 0
    for channel, heard in heards.items():
        await auntil(lambda: "heard" in heard.calls, "it hears again")  # noqa: B023
        after = await post(there, channel)
        await hear(heard, *after)
        assert [call for call in heard.calls if call != "notice"] == ["lost", "heard"]


async def test_between_loss_and_hearing_nothing_is_told_of_as_heard(servers: Backend, open_store: Open) -> None:
    """Whatever was appended before `heard` may be missing; nothing after it may be. Three losses under load: a
    store that is lost again and again waits longer each time, and all that time messages go on."""
    here, there = open_store(cap=2000), open_store(cap=2000)
    heard, stop = Heard(), asyncio.Event()
    posted: list[Position] = []
    marks: list[int] = []

    class Marking(Heard):
        def heard(self) -> None:
            marks.append(len(posted))
            heard.heard()

        def notice(self, entries: object) -> None:
            heard.notice(entries)  # type: ignore[arg-type]

    async def go_on() -> None:
        while not stop.is_set():
            posted.extend(await post(there, "c"))

    await here.subscribe("c", Marking())
    posting = asyncio.create_task(go_on())
    for turn in range(1, 4):
        assert servers.silence() > 0
        await auntil(lambda: len(marks) >= turn, f"heard again, time {turn}")  # noqa: B023
        # One more than was posted then: the one that was under way.
        sure = marks[-1] + 1
        await auntil(lambda: len(posted) > sure + 3, "messages went on")  # noqa: B023
        await hear(heard, *posted[sure : sure + 3])
    stop.set()
    await posting


async def test_who_subscribes_in_a_silence_hears_or_is_told_of_the_loss(servers: Backend, open_store: Open) -> None:
    here, there = open_store(), open_store()
    first, second = Heard(), Heard()
    await here.subscribe("c", first)
    assert servers.silence() > 0
    await here.subscribe("c", second)
    posted = await post(there, "c")
    await auntil(lambda: set(posted) <= set(second.positions) or "heard" in second.calls, "the second hears")
    await auntil(
        lambda: [call for call in first.calls if call != "notice"] == ["lost", "heard"], "the first hears again"
    )
    await hear(second, *await post(there, "c"))


async def test_a_store_that_is_closed_calls_nobody(open_store: Open) -> None:
    here, there = open_store(), open_store()
    heard, other = Heard(), Heard()
    await here.subscribe("c", heard)
    await there.subscribe("c", other)
    if here is not there:
        await here.close()
        await hear(other, *await post(there, "c"))
        assert heard.calls == []
