"""Subscriptions on virtual time, with a server whose words are chosen: what may be believed, and when patience ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from redis import exceptions

from gapless.log.cursor import Position
from gapless.log.entries import Entry, format_entry
from gapless.log.errors import StoreUnavailable
from gapless.stores.redis.pubsub import ACK_TIMEOUT, BACKOFF, PING_EVERY, Subscriptions
from gapless.stores.topic import DOUBT
from tests.stores.contract.publications import Heard
from tests.testkit import strategies as some
from tests.testkit.clock import advance, settle

pytestmark = pytest.mark.virtual_time

ENTRY = Entry(Position("t9x2k0ab", 1, "7qd1"), "0", 1, some.body())


class Connection:
    """What redis-py's connection does, as far as it is asked to. `sent`: commands; `say`: the server's next word."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.words: asyncio.Queue[object] = asyncio.Queue()
        self.sent: list[tuple[Any, ...]] = []
        self.open = True
        self.silences = False
        """It swallows the next cancellation."""

    @property
    def is_connected(self) -> bool:
        return self.open

    async def send_command(self, *command: Any, **_: object) -> None:
        if not self.open:
            raise exceptions.ConnectionError("not connected")
        self.sent.append(command)
        self.server.sent.append(command)
        await self.server.draining.wait()
        if self.server.answers:
            self.server.answer(self, command)

    async def read_response(self, *, timeout: float, **_: object) -> object:
        try:
            async with asyncio.timeout(timeout):
                word = await self.words.get()
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            if not self.silences:
                raise
            self.silences = False
            return None
        if isinstance(word, Exception):
            raise word
        return word

    async def disconnect(self, **_: object) -> None:
        await self.server.closing.wait()
        self.open = False


class Server:
    """Answers as Redis does while `answers`; refuses connections while `down`, and every command with `refusal`.

    Takes bytes once `draining`, lets go of connections once `closing`; connects in spite of `swallows` cancellations.
    """

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.attempts: list[float] = []
        self.sent: list[tuple[Any, ...]] = []
        self.answers = True
        self.down = False
        self.refusal: exceptions.RedisError | None = None
        self.swallows = 0
        self.draining, self.closing = asyncio.Event(), asyncio.Event()
        self.draining.set()
        self.closing.set()

    async def connect(self) -> Connection:
        self.attempts.append(asyncio.get_running_loop().time())
        if self.down:
            raise exceptions.ConnectionError("refused")
        self.connections.append(connection := Connection(self))
        if self.swallows:
            self.swallows -= 1
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return connection

    def answer(self, connection: Connection, command: tuple[Any, ...]) -> None:
        name, *topics = command
        if self.refusal is not None:
            connection.words.put_nowait(self.refusal)
            return
        if name == "PING":
            connection.words.put_nowait([b"pong", b""])
        for topic in topics:
            connection.words.put_nowait([name.lower().encode(), topic, 1])

    def say(self, *words: object) -> None:
        for word in words:
            self.connections[-1].words.put_nowait(word)

    def tell(self, topic: bytes, payload: bytes = format_entry(ENTRY)) -> None:
        self.say([b"message", topic, payload])


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def subscriptions(server: Server) -> Any:
    subscriptions = Subscriptions(server.connect)  # type: ignore[arg-type]
    yield subscriptions
    await subscriptions.close()
    await settle()
    assert not any(connection.open for connection in server.connections)


async def test_a_subscription_begins_with_its_acknowledgement(server: Server, subscriptions: Subscriptions) -> None:
    server.answers = False
    subscribing = asyncio.create_task(subscriptions.subscribe("t", "c", Heard()))
    await advance(ACK_TIMEOUT - 0.1)
    assert not subscribing.done()
    server.say([b"subscribe", b"t", 1])
    await settle()
    assert subscribing.done()


async def test_one_that_is_not_acknowledged_fails_and_leaves_nothing(
    server: Server, subscriptions: Subscriptions
) -> None:
    server.answers = False
    with pytest.raises(StoreUnavailable, match="acknowledge"):
        await subscriptions.subscribe("t", "c", Heard())
    await settle()
    assert not any(connection.open for connection in server.connections)
    server.answers = True
    await subscriptions.subscribe("t", "c", Heard())


async def test_an_acknowledgement_from_before_an_unsubscribe_promises_nothing(
    server: Server, subscriptions: Subscriptions
) -> None:
    await subscriptions.subscribe("other", "o", Heard())
    server.answers = False
    leaving = asyncio.create_task(subscriptions.subscribe("t", "c", Heard()))
    await settle()
    leaving.cancel()
    await settle()
    coming = asyncio.create_task(subscriptions.subscribe("t", "c", Heard()))
    await settle()
    assert server.sent[-3:] == [("SUBSCRIBE", b"t"), ("UNSUBSCRIBE", b"t"), ("SUBSCRIBE", b"t")]
    for word in (b"subscribe", b"unsubscribe"):
        server.say([word, b"t", 1])
        await settle()
        assert not coming.done()
    server.say([b"subscribe", b"t", 1])
    await settle()
    assert coming.done()


async def test_who_joins_while_bytes_are_stuck_is_not_forgotten_with_who_leaves(
    server: Server, subscriptions: Subscriptions
) -> None:
    await subscriptions.subscribe("other", "o", Heard())
    server.draining.clear()
    first = asyncio.create_task(subscriptions.subscribe("t", "c", Heard()))
    await settle()
    second = asyncio.create_task(subscriptions.subscribe("t", "c", heard := Heard()))
    await settle()
    first.cancel()
    await settle()
    server.draining.set()
    server.say([b"subscribe", b"t", 1])
    await settle()
    assert second.done()
    server.tell(b"t")
    await settle()
    assert heard.positions == [ENTRY.position]


async def test_who_leaves_while_bytes_are_stuck_takes_nobody_with_them(
    server: Server, subscriptions: Subscriptions
) -> None:
    await subscriptions.subscribe("other", "o", Heard())
    server.draining.clear()
    first = asyncio.create_task(subscriptions.subscribe("t", "c", heard := Heard()))
    await settle()
    second = asyncio.create_task(subscriptions.subscribe("t", "c", Heard()))
    await settle()
    second.cancel()
    await settle()
    server.draining.set()
    await settle()
    assert first.done()
    server.tell(b"t")
    await settle()
    assert heard.positions == [ENTRY.position]


async def test_a_quiet_connection_is_asked_whether_it_lives(server: Server, subscriptions: Subscriptions) -> None:
    heard = Heard()
    await subscriptions.subscribe("t", "c", heard)
    await advance(PING_EVERY * 10 + 1)
    assert server.sent.count(("PING",)) == 10
    assert heard.calls == []


async def test_one_that_does_not_answer_is_lost_and_the_next_one_heard(
    server: Server, subscriptions: Subscriptions
) -> None:
    heard = Heard()
    await subscriptions.subscribe("t", "c", heard)
    server.answers = False
    await advance(PING_EVERY + ACK_TIMEOUT - 0.1)
    assert heard.calls == []
    server.answers = True
    await advance(0.2 + BACKOFF[0])
    assert heard.calls == ["lost", "heard"]
    assert [connection.open for connection in server.connections] == [False, True]


async def test_when_nothing_more_has_come_those_are_told_for_whom_something_has(
    server: Server, subscriptions: Subscriptions
) -> None:
    class Diary(Heard):
        def all_told(self) -> None:
            self.calls.append("all")

    heard, other = Diary(), Diary()
    for topic, listener in (("t", heard), ("u", other)):
        await subscriptions.subscribe(topic, topic, listener)
    server.tell(b"t")
    server.tell(b"t")
    await settle()
    assert (heard.calls, other.calls) == (["notice", "notice", "all"], [])
    server.tell(b"t")
    await settle()
    assert heard.calls[3:] == ["notice", "all"]


async def test_a_message_is_a_sign_of_life(server: Server, subscriptions: Subscriptions) -> None:
    await subscriptions.subscribe("t", "c", heard := Heard())
    server.answers = False
    for _ in range(10):
        await advance(PING_EVERY + 1)
        server.tell(b"t")
        await settle()
    assert "lost" not in heard.calls


async def test_a_server_that_is_away_is_asked_for_once_a_second_at_most(
    server: Server, subscriptions: Subscriptions
) -> None:
    await subscriptions.subscribe("t", "c", heard := Heard())
    server.down = True
    server.say(exceptions.ConnectionError("cut"))
    await advance(10)
    waits = [later - earlier for earlier, later in zip(server.attempts[1:], server.attempts[2:], strict=False)]
    assert waits == sorted(waits)
    assert max(waits) == BACKOFF[1]
    assert heard.calls == ["lost"]
    server.down = False
    await advance(BACKOFF[1])
    assert heard.calls == ["lost", "heard"]
    assert server.sent[-1] == ("SUBSCRIBE", b"t")


async def test_a_new_connection_subscribes_to_all_that_is_wanted_then(
    server: Server, subscriptions: Subscriptions
) -> None:
    await subscriptions.subscribe("a", "a", Heard())
    going = await subscriptions.subscribe("b", "b", Heard())
    server.down = True
    server.say(exceptions.ConnectionError("cut"))
    await settle()
    await going.close()
    coming = asyncio.create_task(subscriptions.subscribe("d", "d", Heard()))
    await settle()
    server.down = False
    await advance(BACKOFF[1])
    assert server.connections[-1].sent == [("SUBSCRIBE", b"a", b"d")]
    assert coming.done()


async def test_the_last_who_leaves_closes_the_connection(server: Server, subscriptions: Subscriptions) -> None:
    both = [await subscriptions.subscribe("t", "c", Heard()), await subscriptions.subscribe("u", "d", Heard())]
    for subscription in both:
        await subscription.close()
    await settle()
    assert server.sent == [("SUBSCRIBE", b"t"), ("SUBSCRIBE", b"u"), ("UNSUBSCRIBE", b"t")]
    assert not server.connections[-1].open
    await advance(PING_EVERY * 3)
    assert len(server.connections) == 1, "and nobody opens another"


async def test_a_server_that_refuses_is_no_end(server: Server, subscriptions: Subscriptions) -> None:
    await subscriptions.subscribe("t", "c", heard := Heard())
    server.say(exceptions.NoPermissionError("NOPERM"))
    await advance(BACKOFF[1])
    assert heard.calls == ["lost", "heard"]


async def test_a_right_that_is_missing_is_asked_for_once_a_second_and_logged_once(
    server: Server, subscriptions: Subscriptions, caplog: pytest.LogCaptureFixture
) -> None:
    await subscriptions.subscribe("t", "c", heard := Heard())
    server.refusal = exceptions.NoPermissionError("no permission to run SUBSCRIBE")
    server.say(exceptions.ConnectionError("cut"))
    await advance(60)
    assert 60 <= len(server.attempts) <= 66
    refused = [line for line in caplog.messages if "no permission to run SUBSCRIBE" in line]
    assert len(refused) == 1
    server.refusal = None
    await advance(BACKOFF[1])
    assert heard.calls == ["lost", "heard"]
    server.refusal = exceptions.NoPermissionError("no permission to run SUBSCRIBE")
    server.say(exceptions.ConnectionError("cut"))
    await advance(1)
    assert caplog.messages.count(refused[0]) == 2, "it heard meanwhile: so this is news"


async def test_a_connection_that_is_long_in_closing_is_nobody_elses(
    server: Server, subscriptions: Subscriptions
) -> None:
    """The last reader goes, the next one comes, and only then the old connection is closed."""
    old = await subscriptions.subscribe("t", "c", gone := Heard())
    server.closing.clear()
    leaving = asyncio.create_task(old.close())
    await settle()
    await subscriptions.subscribe("t", "c", heard := Heard())
    server.connections[0].words.put_nowait([b"message", b"t", format_entry(ENTRY)])
    server.closing.set()
    await settle()
    assert leaving.done()
    assert [connection.open for connection in server.connections] == [False, True]
    server.tell(b"t")
    await settle()
    assert (gone.calls, heard.calls) == ([], ["notice"])
    await subscriptions.subscribe("u", "d", Heard())


async def test_an_attempt_to_connect_that_outlives_its_readers_is_nobody_elses(
    server: Server, subscriptions: Subscriptions
) -> None:
    """Before Python 3.12 a cancellation is swallowed where the connection is made at that very moment."""
    server.swallows = 1
    first = asyncio.create_task(subscriptions.subscribe("t", "c", Heard()))
    await settle()
    first.cancel()
    await settle()
    await subscriptions.subscribe("t", "c", heard := Heard())
    assert await asyncio.wait([first])
    assert [connection.open for connection in server.connections].count(True) == 1
    await subscriptions.subscribe("u", "d", Heard())
    await advance(PING_EVERY)
    assert heard.calls == []


async def test_what_is_found_silent_is_left_though_nothing_interrupts_it(
    server: Server, subscriptions: Subscriptions
) -> None:
    ear = await subscriptions.subscribe("t", "c", heard := Heard())
    server.connections[0].silences = True
    ear.suspect()
    await advance(sum(DOUBT) + PING_EVERY)
    assert len(server.connections) == 2
    assert heard.calls == ["lost", "heard"]
