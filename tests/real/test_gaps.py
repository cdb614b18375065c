"""What a reader is told that was away, or was misled: every message, or the gap before the next one. Never silence."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from tests.testkit.room import (
    SMALL,
    Room,
    Services,
    Where,
    assert_gap,
    from_ann,
    heard,
    many,
    of,
    one,
    open_services,
    place,
)
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.real(seconds=2), pytest.mark.timeout(180)]

RESET = 25.0
"""Seconds: five times those within which a reader must be told `reset`."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Nothing here is owed to a recheck: there is none."""
    with open_services(tmp_path_factory.mktemp("gaps"), SMALL | {"GAPLESS_RECHECK": "3600"}) as services:
        yield services
        for service in (services.warm, services.cold):
            assert httpx.get(f"{service.url}/readyz", trust_env=False).status_code == 200
            assert "Traceback" not in service.log, service.log


@pytest.fixture
def room(services: Services, client: httpx.AsyncClient) -> Room:
    return Room(services, client)


@pytest.fixture(params=["warm", "cold"])
def where(request: pytest.FixtureRequest) -> Where:
    """The process to which the reader comes back: the one that knows the channel, or the other."""
    found: Where = request.param
    return found


# Away, and back


async def test_what_is_sent_while_a_reader_that_came_before_any_message_is_away(
    services: Services, room: Room, where: Where
) -> None:
    async with visit(one(services, "warm", room)) as first:
        hello = await first.next("hello")
    assert place(hello.id)[1] == 0
    await room.publish(2)
    async with visit(one(services, where, room), hello.id) as second:
        assert (await second.next("hello")).id == hello.id
        assert await second.messages(2) == from_ann(1, 2)
        await room.publish(1)
        assert await second.messages(1) == from_ann(3, 3)


async def test_what_is_sent_while_a_reader_is_away(services: Services, room: Room, where: Where) -> None:
    await room.publish(2)
    async with visit(one(services, "warm", room)) as first:
        hello = await first.next("hello")
        assert hello.id == room.ann.ids[1]
        await room.publish(1)
        assert await first.messages(1) == from_ann(3, 3)
    await room.publish(5)
    async with visit(one(services, where, room), first.last_event_id) as second:
        assert (await second.next("hello")).id == room.ann.ids[2]
        assert await second.messages(5) == from_ann(4, 8)


async def test_trimmed_while_away(services: Services, room: Room, where: Where) -> None:
    async with visit(one(services, "warm", room)) as first:
        await first.next("hello")
        await room.publish(3)
        await first.messages(3)
    await room.flood()
    kept = room.log.entries()
    assert 20 <= len(kept) <= 25
    async with visit(one(services, where, room), first.last_event_id) as second:
        await second.next("hello")
        gap = await second.next("gap")
        assert_gap(gap, room, "trimmed", missed=kept[0].seq - 1 - 3)
        assert await heard(second, len(kept)) == from_ann(kept[0].seq, 63)
    async with visit(one(services, where, room), gap.id) as third:
        await third.next("hello")
        assert await heard(third, len(kept)) == from_ann(kept[0].seq, 63)


async def test_trimmed_before_a_reader_that_saw_no_log(services: Services, room: Room, where: Where) -> None:
    async with visit(one(services, "warm", room)) as first:
        hello = await first.next("hello")
    await room.flood()
    kept = room.log.entries()
    async with visit(one(services, where, room), hello.id) as second:
        await second.next("hello")
        assert_gap(await second.next("gap"), room, "trimmed", missed=kept[0].seq - 1)
        assert await heard(second, len(kept)) == from_ann(kept[0].seq, 60)


async def test_a_reader_is_left_behind_by_one_channel_of_two(
    services: Services, client: httpx.AsyncClient, where: Where
) -> None:
    loud, calm = Room(services, client), Room(services, client)
    await calm.publish(1)
    async with visit(many(services, "warm", loud, calm)) as first:
        await first.next("hello")
        await loud.publish(3)
        await first.messages(3)
    await loud.flood()
    await calm.publish(2)
    async with visit(many(services, where, loud, calm), first.last_event_id) as second:
        await second.next("hello")
        rest = [await second.next() for _ in range(1 + len(loud.log.entries()) + 2)]
    gaps = [said for said in rest if said.event == "gap"]
    assert [(gap.data["channel"], gap.data["reason"]) for gap in gaps] == [(loud.channel, "trimmed")]
    assert of(loud, rest) == from_ann(loud.log.entries()[0].seq, 63)
    assert of(calm, rest) == from_ann(2, 3)
    assert second.last_event_id == f"{loud.ann.ids[-1]}.{calm.ann.ids[-1]}"


async def test_wiped_while_away(services: Services, room: Room, where: Where) -> None:
    async with visit(one(services, "warm", room)) as first:
        await first.next("hello")
        await room.publish(3)
        await first.messages(3)
    services.store.flush()
    await room.publish(2)
    async with visit(one(services, where, room), first.last_event_id) as second:
        assert (await second.next("hello")).id == first.last_event_id
        assert_gap(await second.next("gap", alarm=RESET), room, "reset")
        assert await second.messages(2) == from_ann(4, 5)


async def test_wiped_while_away_and_silent_since(services: Services, room: Room) -> None:
    await room.publish(3)
    services.store.flush()
    async with visit(one(services, "cold", room), room.ann.ids[-1]) as visited:
        await visited.next("hello")
        gap = await visited.next("gap", alarm=RESET)
        assert_gap(gap, room, "reset")
        assert place(gap.id)[1] == 0
        await room.publish(1)
        assert await visited.messages(1) == from_ann(4, 4)


# Misled


def misleading(id_: str) -> list[str]:
    """Cursors that can be read, of a log of three messages whose second is `id_`, and that are no place in it."""
    epoch, mark = id_[:8], id_[-4:]
    other = "zzzz" if mark != "zzzz" else "yyyy"
    return [
        *(f"{epoch}-{seq}-{mark}" for seq in (4, 9, 999_999_999_999_999)),
        *(f"{epoch}-{seq}-{other}" for seq in (1, 2, 3)),
        *("zzzzzzzz-2-abcd", "zzzzzzzz-0-0", "zzzzzz00-999999999999999-abcd"),
        *("00000000-2-abcd", "00000000-0-0", "t0000000-1-abcd", "000000-0-0"),
    ]


async def test_a_cursor_of_the_future_of_another_epoch_or_with_another_mark(
    services: Services, room: Room, where: Where
) -> None:
    await room.publish(3)

    async def come(cursor: str) -> None:
        async with visit(one(services, where, room), cursor) as visited:
            assert (await visited.next("hello")).id == cursor
            assert_gap(await visited.next("gap", alarm=RESET), room, "reset", meanwhile=1)
            assert await visited.messages(4) == from_ann(1, 4)

    async with asyncio.TaskGroup() as readers, visit(one(services, "warm", room)) as other:
        come_back = [readers.create_task(come(cursor)) for cursor in misleading(room.ann.ids[1])]
        await other.next("hello")
        await room.publish(1)
        # Whoever waits for its reset does not keep the others waiting.
        assert await other.messages(1, alarm=5) == from_ann(4, 4)
        assert len(come_back) == 13


async def test_misled_in_one_channel_of_two(services: Services, client: httpx.AsyncClient, where: Where) -> None:
    left, right = Room(services, client), Room(services, client)
    await left.publish(3)
    await right.publish(3)
    wrong = f"{left.ann.ids[1][:-4]}zzzz.{right.ann.ids[1]}"
    async with visit(many(services, where, left, right), wrong) as visited:
        assert (await visited.next("hello")).id == wrong
        rest = [await visited.next(alarm=RESET) for _ in range(1 + 3 + 1)]
    assert [said.data["channel"] for said in rest if said.event == "gap"] == [left.channel]
    assert (of(left, rest), of(right, rest)) == (from_ann(1, 3), from_ann(3, 3))
    assert visited.last_event_id == f"{left.ann.ids[-1]}.{right.ann.ids[-1]}"


UNREADABLE = [
    *("x", "-", ".", "..", "0", "null", "t9x2k0ab", "t9x2k0ab-1", "t9x2k0ab-1-abc", "t9x2k0ab-01-abcd"),
    *("T9X2K0AB-1-ABCD", "t9x2k0ab-1-abcd.", "t9x2k0ab-1-abcd.t9x2k0ab-1-abcd", "t9x2k0ab--1-abcd", "1" * 4000),
    *("t9x2k0ab-1000000000000000-abcd", "t9x2k0ab-1-abcd\u00e9", "\u0661\u0662-1-abcd", "t9x2k0ab-0-abcd"),
]


async def test_a_cursor_that_cannot_be_read(services: Services, room: Room, where: Where) -> None:
    await room.publish(3)

    async def come(cursor: str) -> None:
        async with visit(f"{one(services, where, room)}?after={quote(cursor)}") as visited:
            hello = await visited.next("hello")
            assert (hello.id, hello.data["cursor"]) == (None, None)
            assert_gap(await visited.next("gap"), room, "unknown")
            assert await visited.messages(3) == from_ann(1, 3)

    async with asyncio.TaskGroup() as readers:
        for cursor in UNREADABLE:
            readers.create_task(come(cursor))


SHAPES = ["{0}", "{0}.{0}.{0}", "{0}.x", "x.{0}", "{0} {0}", ".{0}", "{0}."]


async def test_a_cursor_for_another_number_of_channels(
    services: Services, client: httpx.AsyncClient, where: Where
) -> None:
    """Each channel is told; the last gap alone carries the cursor, so that who is cut before it is told all again."""

    async def come(shape: str) -> None:
        left, right = Room(services, client), Room(services, client)
        await left.publish(2)
        async with visit(many(services, where, left, right), shape.format(left.ann.ids[0])) as visited:
            hello, first, second = [await visited.next() for _ in range(3)]
            assert (hello.event, hello.id, hello.data["cursor"]) == ("hello", None, None)
            assert_gap(first, left, "unknown")
            assert_gap(second, right, "unknown")
            assert first.id is None
            assert re.fullmatch(r"[a-z0-9]{8}-0-0\.[a-z0-9]{6}-0-0", second.id or "")
            assert await visited.messages(2) == from_ann(1, 2)
            await right.publish(1)
            assert (await visited.next("message")).data["channel"] == right.channel

    async with asyncio.TaskGroup() as readers:
        for shape in SHAPES:
            readers.create_task(come(shape))


async def test_bytes_of_any_kind_as_a_last_event_id(services: Services, room: Room) -> None:
    await room.publish(1)
    for cursor in (b"\xff\xfe", "né".encode(), b"\xe2\x80\xa8", b"a" * 8000):
        async with visit(one(services, "warm", room), cursor) as visited:
            await visited.next("hello")
            assert_gap(await visited.next("gap"), room, "unknown")
            assert await visited.messages(1) == from_ann(1, 1)
