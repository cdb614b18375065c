"""The long poller: what it asks, what it writes down, and that it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.testkit.poller import LongPoller
from tests.testkit.reader_log import End, Gap, Hello, Message, ReaderLog, Reconnected

if TYPE_CHECKING:
    from tests.testkit.reader_log import Seen


def message(seq: int) -> dict[str, Any]:
    id_ = f"t9x2k0ab-{seq}-m{seq:03}"
    return {"id": id_, "channel": "c", "event": "message", "user": "ann", "data": seq, "localId": None}


def page(*seqs: int, cursor: str, gap: dict[str, Any] | None = None) -> httpx.Response:
    return httpx.Response(200, json={"messages": [message(seq) for seq in seqs], "cursor": cursor, "gap": gap})


async def ask(*replies: httpx.Response | Exception, cursor: str = "") -> tuple[LongPoller, list[Seen], list[str]]:
    """Polls once for each reply. Returns the poller, what it has written down, and the cursors it has sent."""
    log, sent, waiting = ReaderLog("poll", ("c",)), [], list(replies)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/channels/c/messages"
        sent.append(request.url.params.get("after", ""))
        reply = waiting.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        poller = LongPoller(log, ["http://here", "http://there"], client=client, cursor=cursor, pause=0)
        for _ in replies:
            await poller.poll()
    return poller, log.events, sent


async def test_it_goes_on_after_the_cursor_of_each_page() -> None:
    first, last = "t9x2k0ab-2-m002", "t9x2k0ab-3-m003"
    poller, seen, sent = await ask(page(1, 2, cursor=first), page(3, cursor=last), page(cursor=last))
    assert sent == ["", first, last]
    assert [(one.id, one.cursor) for one in seen if isinstance(one, Message)] == [
        ("t9x2k0ab-1-m001", None), (first, first), (last, last),
    ]  # fmt: skip
    assert (poller.at, poller.messages, len(seen)) == ({"c": last}, 3, 3)


async def test_a_first_place_without_a_message_is_written_down() -> None:
    _, seen, _ = await ask(page(cursor="t9x2k0-0-0"))
    assert seen == [Reconnected(None), Hello("t9x2k0-0-0")]


async def test_a_cursor_that_moves_without_a_message_is_there_for_the_checker() -> None:
    _, seen, _ = await ask(page(cursor="t9x2k0ab-9-zzzz"), cursor="t9x2k0ab-1-m001")
    assert seen == [Reconnected("t9x2k0ab-1-m001"), Hello("t9x2k0ab-9-zzzz")]


async def test_a_gap_comes_before_its_messages() -> None:
    told = {"channel": "c", "reason": "trimmed", "missed": 6, "oldest": message(8)["id"], "latest": message(9)["id"]}
    _, seen, _ = await ask(page(8, 9, cursor=message(9)["id"], gap=told), cursor="t9x2k0ab-1-m001")
    assert seen[0] == Gap("c", "trimmed", 6, message(8)["id"], message(9)["id"], None)
    assert [type(one) for one in seen[1:]] == [Message, Message]


async def test_who_is_not_served_asks_again() -> None:
    poller, seen, sent = await ask(
        httpx.Response(503), httpx.ReadError("cut"), httpx.Response(429), page(1, cursor=message(1)["id"])
    )
    assert (poller.refused, len(seen), sent) == (3, 1, [""] * 4)


async def test_any_other_answer_stops_it() -> None:
    poller, seen, _ = await ask(httpx.Response(500, text="broken"))
    assert (poller.stopped, seen) == ("500 broken", [End("stopped by 500 broken")])
