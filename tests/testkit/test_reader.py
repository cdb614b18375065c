"""The reader, against a server that plays a script, one turn a connection."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.testkit.alarm import Alarm
from tests.testkit.asides import Present, Receipts, Signalled
from tests.testkit.checker import Minimum, check
from tests.testkit.history import History, content_key
from tests.testkit.listener import Listener
from tests.testkit.port import free_port
from tests.testkit.reader import EventSourceReader, Rotate
from tests.testkit.reader_log import Cut, End, Gap, Hello, Message, ReaderLog, Reconnected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

E = "t9x2k0aa"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def mid(seq: int) -> str:
    return f"{E}-{seq}-m{seq:03d}" if seq else f"{E}-0-0"


def hello(seq: int, retry: int = 20) -> bytes:
    return f"retry: {retry}\nid: {mid(seq)}\nevent: hello\ndata: {{}}\n\n".encode()


def message(seq: int, channel: str = "c") -> bytes:
    data = {"id": mid(seq), "channel": channel, "event": "message", "user": None, "data": {"n": seq}, "localId": None}
    return f"id: {mid(seq)}\ndata: {json.dumps(data)}\n\n".encode()


def end(reason: str = "deadline") -> bytes:
    return f'event: end\ndata: {{"reason":"{reason}"}}\n\n'.encode()


class Script:
    """Turn by turn, what each connection is answered; the last turn is played for ever. `None` stays open."""

    def __init__(self, *turns: bytes | Callable[[asyncio.StreamWriter], None] | None) -> None:
        self.turns = turns
        self.requests: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (head := await reader.readuntil(b"\r\n\r\n")) and not writer.is_closing():
            turn = self.turns[min(len(self.requests), len(self.turns) - 1)]
            self.requests.append(head.decode())
            if callable(turn):
                turn(writer)
                return
            writer.write(turn or b"")
            await writer.drain()
            if turn is None or not turn.endswith(LAST):
                return

    def sent_ids(self) -> list[str | None]:
        """The Last-Event-ID of each request."""
        found = [
            [line for line in head.split("\r\n") if line.lower().startswith("last-event-id:")] for head in self.requests
        ]
        return [lines[0].partition(": ")[2] if lines else None for lines in found]


@asynccontextmanager
async def playing(script: Script) -> AsyncIterator[str]:
    async with Listener(script.answer) as listener:
        yield f"http://127.0.0.1:{listener.port}/stream?after=x"


def reset(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + chunk(hello(0)))
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def new_log(start: str | None = None) -> tuple[History, ReaderLog]:
    history = History()
    for seq in range(1, 4):
        history.publish("c", "", content_key({"n": seq}), "acked", mid(seq))
    return history, history.reader("r", "c", start)


STOP = b"HTTP/1.1 204 No Content\r\n\r\n"


async def test_it_comes_back_with_the_last_whole_blocks_id() -> None:
    script = Script(
        HEAD + chunk(hello(0) + message(1) + end()) + LAST,
        HEAD + chunk(hello(1) + message(2) + message(3)[:-1]) + LAST,
        HEAD + chunk(hello(2) + message(3)),
        STOP,
    )
    history, log = new_log()
    async with playing(script) as url, EventSourceReader(log, url) as reader:
        await reader.until(lambda r: r.stopped, "204")
    assert script.sent_ids() == [None, mid(1), mid(2), mid(3)]
    assert all(head.startswith("GET /stream?after=x HTTP/1.1") for head in script.requests)
    assert [type(event) for event in log.events] == [
        *(Hello, Message, End),
        *(Reconnected, Hello, Message, Cut),
        *(Reconnected, Hello, Message, Cut),
        End,
    ]
    assert (reader.messages, reader.cuts, reader.opened, reader.stopped) == (3, 2, 3, "204")
    verdict = check(history, Minimum(messages=3, reconnects=2, cuts=2))
    assert verdict.ok, str(verdict)


async def test_an_orderly_end_without_the_word_is_a_cut() -> None:
    script = Script(HEAD + chunk(hello(0)) + LAST, STOP)
    _, log = new_log()
    async with playing(script) as url, EventSourceReader(log, url) as reader:
        await reader.until(lambda r: r.stopped, "204")
    assert [type(event) for event in log.events] == [Hello, Cut, End]


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        (STOP, "204"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        (b"HTTP/1.1 503 Busy\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n", "503 text/event-stream"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n", "200 text/plain"),
    ],
)
async def test_it_stops_for_ever_where_a_browser_does(answer: bytes, stopped: str) -> None:
    script = Script(answer)
    _, log = new_log()
    async with playing(script) as url, EventSourceReader(log, url) as reader:
        await reader.until(lambda r: r.stopped, "an end")
        with pytest.raises(Alarm, match="has ended"):
            await reader.until_messages(1)
    assert reader.stopped == stopped
    assert log.events == [End(f"stopped by {stopped}")]
    assert len(script.requests) == 1


async def test_resets_and_refusals_are_tried_again() -> None:
    script = Script(reset, lambda writer: writer.transport.abort(), HEAD + chunk(hello(0) + message(1)), STOP)
    _, log = new_log()
    async with playing(script) as url, EventSourceReader(log, url, retry_ms=20) as reader:
        await reader.until(lambda r: r.stopped, "204")
    assert reader.failed == 1
    assert reader.cuts == 2
    assert script.sent_ids()[2:] == [mid(0), mid(1)]


async def test_a_server_that_is_not_there_yet() -> None:
    _, log = new_log()
    port = free_port()
    async with EventSourceReader(log, f"http://127.0.0.1:{port}/", retry_ms=20) as reader:
        await reader.until(lambda r: r.failed >= 2, "two refusals")
        async with Listener(Script(HEAD + chunk(hello(0) + message(1)) + LAST).answer, port=port):
            await reader.until_messages(1)


async def test_the_start_is_sent_unless_it_stands_in_the_query() -> None:
    for send in (True, False):
        script = Script(STOP)
        _, log = new_log(mid(2))
        async with playing(script) as url, EventSourceReader(log, url, send_start=send) as reader:
            await reader.until(lambda r: r.stopped, "204")
        assert script.sent_ids() == [mid(2) if send else None]


async def test_headers_and_redirects() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    script = Script(moved, STOP)
    _, log = new_log()
    async with playing(script) as url, EventSourceReader(log, url, headers={"Authorization": "Bearer T"}) as reader:
        await reader.until(lambda r: r.stopped, "204")
    assert [head.split()[1] for head in script.requests] == ["/stream?after=x", "/elsewhere"]
    for head in script.requests:
        assert "authorization: bearer t" in head.lower()
        assert "accept: text/event-stream" in head.lower()


def around() -> Iterator[tuple[str, dict[str, Any]]]:
    """Events around the messages."""
    yield "signal", {"channel": "c", "nonce": "n1"}
    for whole, user, read in ((True, "ann", None), (False, "bob", mid(2))):
        delivered = read or mid(3)
        yield "receipt", {"channel": "c", "receipts": {user: {"delivered": delivered, "read": read}}, "whole": whole}
    yield "presence", {"channel": "c", "count": 5000}
    yield "presence", {"channel": "c", "users": ["ann", "eve"], "count": 2}
    yield "presence", {"channel": "c", "joined": ["bob"], "left": ["ann"], "count": 2}


async def test_gaps_other_events_and_comments() -> None:
    gap = {"channel": "c", "reason": "trimmed", "missed": 2, "oldest": mid(3), "latest": mid(3)}
    told = f"event: gap\ndata: {json.dumps(gap)}\n\n".encode()
    body = hello(0) + b":\n" + f"id: {mid(2)}\n".encode() + told + told
    for name, data in around():
        body += f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
    body += b"id: 9\n\n"
    script = Script(HEAD + chunk(body) + LAST, STOP)
    _, log = new_log()
    async with playing(script) as url, EventSourceReader(log, url) as reader:
        await reader.until(lambda r: r.stopped, "204")
    first = Gap("c", "trimmed", 2, mid(3), mid(3), mid(2))
    assert log.events[:3] == [Hello(mid(0)), first, replace(first, id=None)]
    ann, bob = {"ann": (mid(3), None)}, {"bob": (mid(2), mid(2))}
    assert log.events[3:9] == [
        Signalled("c", "n1"),
        Receipts("c", ann, whole=True),
        Receipts("c", bob, whole=False),
        Present("c", None, whole=True),
        Present("c", ("ann", "eve"), whole=True),
        Present("c", ("bob",), ("ann",)),
    ]
    assert (reader.around.marks, reader.around.users) == ({"c": ann | bob}, {"c": {"bob", "eve"}})
    assert reader.comments == 1
    assert script.sent_ids()[1] == "9"


async def test_a_garbled_block_is_never_swallowed() -> None:
    script = Script(HEAD + chunk(hello(0) + b"id: x\ndata: {\n\nevent: other\n" + message(1)) + LAST, STOP)
    history, log = new_log()
    async with playing(script) as url, EventSourceReader(log, url) as reader:
        await reader.until(lambda r: r.stopped, "204")
    assert len(check(history, Minimum(messages=1)).forged) == 2


@pytest.mark.parametrize(
    ("rotate", "seen"),
    [
        (Rotate(messages=1), 1),
        (Rotate(messages=(2, 2.4)), 2),
        (Rotate(bytes=len(hello(0) + message(1) + message(2)) - 1), 1),
        (Rotate(bytes=len(hello(0) + message(1) + message(2))), 2),
        (Rotate(seconds=0.05), 3),
    ],
)
async def test_it_breaks_off_by_itself(rotate: Rotate, seen: int) -> None:
    script = Script(HEAD + chunk(hello(0) + message(1) + message(2) + message(3)))
    _, log = new_log()
    holding = Holding(script)
    async with Listener(holding.answer) as listener:
        url = f"http://127.0.0.1:{listener.port}/"
        async with EventSourceReader(log, url, rotate=rotate) as reader:
            await reader.until(lambda r: r.opened == 2, "a second connection")
    assert reader.last_event_id in {mid(seen), mid(0)} | {mid(seq) for seq in range(seen)}
    first = log.events[: log.events.index(Reconnected(mid(seen)))]
    assert [type(event) for event in first] == [Hello, *[Message] * seen, Cut]


class Holding:
    """Plays its script, and keeps each connection open until the client leaves."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.script.answer(reader, writer)
        await reader.read()


async def test_it_can_be_cut() -> None:
    holding = Holding(Script(HEAD + chunk(hello(0)), None))
    _, log = new_log()
    async with (
        Listener(holding.answer) as listener,
        EventSourceReader(log, f"http://127.0.0.1:{listener.port}/") as reader,
    ):
        assert not reader.cut()
        await reader.until(lambda r: r.log.events, "hello")
        assert reader.cut()
        await reader.until(lambda r: r.cuts, "the cut")
    assert [type(event) for event in log.events] == [Hello, Cut]
    assert isinstance(log.events[1], Cut) and log.events[1].why == "broke off in time"


async def test_it_has_a_watchdog() -> None:
    """Where the machine stands still, it may also bark before an answer, which is no cut."""
    holding = Holding(Script(HEAD + chunk(hello(0))))
    _, log = new_log()
    async with (
        Listener(holding.answer) as listener,
        EventSourceReader(log, f"http://127.0.0.1:{listener.port}/", silence=0.2) as reader,
    ):
        await reader.until(lambda r: r.cuts, "its cut")
    assert {event.why for event in log.events if isinstance(event, Cut)} == {"ReadTimeout"}


@pytest.mark.virtual_time
async def test_it_waits_as_long_as_it_was_told() -> None:
    times: list[float] = []
    answers = [b"data\n", b"retry: 700\n\n", b"retry: 90000\n", b""]

    async def answer(_: httpx.Request) -> httpx.Response:
        times.append(asyncio.get_running_loop().time())
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=answers[len(times) - 1])

    for scale in (1.0, 0.5):
        times.clear()
        _, log = new_log()
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
            EventSourceReader(log, "http://x/", client=client, retry_scale=scale) as reader,
        ):
            await reader.until(lambda _: len(times) == 4, "four connections", alarm=1000)
        assert times == pytest.approx([times[0] + scale * wait for wait in (0, 3, 3.7, 93.7)])


async def test_one_of_many_servers_by_its_seed() -> None:
    async def called(seed: int) -> list[int]:
        order: list[int] = []
        _, log = new_log()

        def server(number: int) -> Script:
            def answer(writer: asyncio.StreamWriter) -> None:
                order.append(number)
                writer.write(HEAD + chunk(hello(0)) + LAST)

            return Script(answer)

        async with (
            playing(server(0)) as a,
            playing(server(1)) as b,
            playing(server(2)) as c,
            EventSourceReader(log, [a, b, c], seed=seed, retry_scale=0.1) as reader,
        ):
            await reader.until(lambda r: r.opened >= 12, "twelve connections")
        return order[:12]

    first = await called(1)
    assert set(first) == {0, 1, 2}
    assert await called(1) == first
    assert await called(2) != first


async def test_a_given_client_stays_open() -> None:
    script = Script(STOP)
    _, log = new_log()
    async with playing(script) as url, httpx.AsyncClient() as client:
        async with EventSourceReader(log, url, client=client) as reader:
            await reader.until(lambda r: r.stopped, "204")
        assert not client.is_closed


async def test_what_the_reader_stumbles_over_is_raised() -> None:
    script = Script(HEAD + chunk(hello(0) + message(1)) + LAST)
    _, log = new_log()

    def broken(_: object) -> str:
        raise RuntimeError("the test's own fault")

    async with playing(script) as url:
        with pytest.raises(RuntimeError, match="own fault"):
            async with EventSourceReader(log, url, content=broken) as reader:
                await reader.until_messages(1)


async def test_the_alarm_says_where_it_stands() -> None:
    holding = Holding(Script(HEAD + chunk(hello(0) + message(1))))
    _, log = new_log()
    async with (
        Listener(holding.answer) as listener,
        EventSourceReader(log, f"http://127.0.0.1:{listener.port}/") as reader,
    ):
        await reader.until_at({"c": mid(1)})
        with pytest.raises(Alarm, match=f"2 messages .stands at .'c': '{mid(1)}'"):
            await reader.until_messages(2, alarm=0.01)
