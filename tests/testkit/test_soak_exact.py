"""The soak's law of equal numbers finds each that is wrong, each that is missing, and each label that says too much."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from gapless.api.exposition import registry_of, text_of
from gapless.runtime.counters import Counters
from tests.soak.bodies import Weighing
from tests.soak.commands import OURS, command_of, words_of
from tests.soak.exact import CLIENTS, STORE, Account, Numbers, Read, counted, grown, missing, named, samples
from tests.testkit.history import History
from tests.testkit.load_publisher import Post

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = "http://127.0.0.1:1"
STREAM, TURN, PAGE = (Read(HERE, to) for to in ("stream", "turn", "page"))


class Stream:
    messages = 5


def told(break_: Callable[[Counters], object] = lambda _: None) -> str:
    """What a process tells that is right, but for what is broken."""
    counters = Counters(measures=True)
    for outcome, messages in (("accepted", 2), ("accepted", 1), ("duplicate", 0), ("conflict", 0)):
        counters.publishes.took(0.01, outcome, messages)
        counters.store.commands["EVALSHA", "publish"] += 1
    counters.store.commands["SUBSCRIBE", ""] += 1
    counters.store.sent_bytes += 99
    for reason, messages in (("deadline", 3), ("disconnect", 2)):
        stream = Stream()
        stream.messages = messages
        counters.streams.begin(stream)
        counters.streams.end(stream, reason)
    counters.streams.refused.update(("busy", "unavailable"))
    counters.bytes["stream"] += 900
    counters.turns += 1
    counters.handed_over("turn", 1, 200)
    counters.handed_over("page", 2, 300)
    counters.gaps.update(("trimmed", "reset"))
    break_(counters)
    return text_of(registry_of(counters, lambda: 0)).decode()


def seen() -> dict[str, Numbers]:
    """What the clients of that process saw."""
    history = History()
    stream, turn, page = (history.reader(name, "room") for name in ("stream", "turn", "page"))
    stream.hello("1")
    for n in (1, 2, 3):
        stream.message("room", str(n), n)
    stream.end("deadline")
    stream.reconnected("3")
    stream.end("busy")  # and no hello: it was refused
    stream.reconnected("3")
    stream.hello("3")
    stream.gap("room", "trimmed", 1, "5", "6", "4")
    for n in (5, 6):
        stream.message("room", str(n), n)
    turn.hello("1")
    turn.message("room", "2", 2)
    turn.end("deadline")  # which is no stream's end
    turn.reconnected("2")
    turn.end("unavailable")
    page.gap("room", "reset", None, "5", "6", "4")
    for n in (5, 6):
        page.message("room", str(n), n)
    posts = [Post(HERE, 1, 2, *what) for what in ((2, "201"), (1, "201"), (1, "200"), (1, "409"))]
    ways = {"stream": STREAM, "turn": TURN, "page": PAGE}
    return counted(history.readers.values(), ways, posts, {STREAM: 900, TURN: 200, PAGE: 300})


RAN = {
    "gapless_store_bytes_total{sent}": 99,
    "gapless_store_commands_total{EVALSHA,publish}": 4,
    "gapless_store_commands_total{SUBSCRIBE}": 1,
}


def wrong(text: str) -> list[str]:
    before, after = samples(told(lambda counters: counters.__init__())), samples(text)  # type: ignore[misc]
    process = Account("a service", grown(before, after, CLIENTS), seen()[HERE])
    store = Account("the store", grown(before, after, STORE), Counter(RAN))
    return process.wrong() + store.wrong()


def test_what_is_right_passes() -> None:
    assert wrong(told()) == []


BROKEN: dict[str, Callable[[Counters], object]] = {
    "gapless_messages_delivered_total{stream} says 6, and 5": lambda c: c.streams.begin(_one(c)),
    "gapless_messages_delivered_total{turn} says 2, and 1": lambda c: c.messages.update(["turn"]),
    "gapless_messages_delivered_total{page} says 0, and 2": lambda c: c.messages.pop("page"),
    "gapless_delivered_bytes_total{stream} says 901, and 900": lambda c: c.bytes.update(["stream"]),
    "gapless_gaps_total{trimmed} says 0, and 1": lambda c: c.gaps.pop("trimmed"),
    "gapless_gaps_total{unknown} says 1, and 0": lambda c: c.gaps.update(["unknown"]),
    "gapless_messages_published_total says 4, and 3": lambda c: setattr(c.publishes, "messages", 4),
    "gapless_publishes_total{duplicate} says 2, and 1": lambda c: c.publishes.outcomes.update(["duplicate"]),
    "gapless_publish_seconds_count says 5, and 4": lambda c: c.publishes.seconds.observe(1),
    "gapless_streams_ended_total{slow} says 1, and 0": lambda c: c.streams.ended.update(["slow"]),
    "gapless_streams_refused_total{busy} says 0, and 1": lambda c: c.streams.refused.pop("busy"),
    "gapless_turns_total says 0, and 1": lambda c: setattr(c, "turns", 0),
    "gapless_store_commands_total{EVALSHA,publish} says 3": lambda c: c.store.commands.subtract(
        [("EVALSHA", "publish")]
    ),
    "gapless_store_bytes_total{sent} says 98, and 99": lambda c: setattr(c.store, "sent_bytes", 98),
    "gapless_store_commands_total{EVAL,slice} says 1, and 0": lambda c: c.store.commands.update([("EVAL", "slice")]),
}
"""A counter that is broken, and what the law says of it."""


def _one(counters: Counters) -> Stream:
    """A delivery that is counted twice; the stream itself is in no other number."""
    counters.streams.opened -= 1
    stream = Stream()
    stream.messages = 1
    return stream


@pytest.mark.parametrize("words", BROKEN)
def test_a_counter_that_is_broken_is_found(words: str) -> None:
    (sentence,) = wrong(told(BROKEN[words]))
    assert words in sentence


def test_what_nobody_counted_anything_of_is_not_shown() -> None:
    account = Account("a service", samples(told()), seen()[HERE])
    assert missing([account], ["gapless_turns_total", "gapless_gaps_total{trimmed}"]) == []
    (sentence,) = missing([account], ["gapless_turns_total", "gapless_gaps_total{unknown}"])
    assert "gapless_gaps_total{unknown}" in sentence


def test_a_label_that_carries_a_channel_or_a_user_is_found() -> None:
    assert named([told()], ["room", "ann"]) == []
    (sentence,) = named([told(), told(lambda counters: counters.gaps.update(["trimmed room"]))], ["room", "ann"])
    assert "trimmed room" in sentence


# --- what the store says


def test_a_line_of_the_store_is_a_command_and_its_script() -> None:
    sha = hashlib.sha1('return "\\n" -- é\n'.encode()).hexdigest()
    words = {
        r'[0 127.0.0.1:5] "EVALSHA" "abc" "1" "k" "a \"b\""': "EVALSHA abc",
        r'[0 127.0.0.1:5] "eval" "return \"\\n\" -- \xc3\xa9\n" "0"': f"EVAL {sha}",
        '[0 unix:/s] "subscribe" "t"': "SUBSCRIBE",
        '[0 lua] "LRANGE" "k" "0" "-1"': None,
        '[0 127.0.0.1:5] "PING"': "PING",
        f'[0 127.0.0.1:5] "EVAL" "{OURS[:-1]}\\nreturn 1" "0"': None,
    }
    found = {said: words_of(f"+1700000000.1 {said}\r\n") for said in words}
    assert {said: command_of(one) if one else None for said, one in found.items()} == words
    assert [len(word) for word in [*found.values()][1]] == [4, len('return "\\n" -- é\n'.encode()), 1]


async def test_bodies_are_weighed_by_the_way_in_which_they_are_read() -> None:
    bodies = {
        "/channels/a/stream": b"id: 1\nevent: hello\ndata: {}\n\n",
        "/stream": b"retry: 5\nevent: end\ndata: {}\n\n",  # refused
        "/channels/a/messages": b"{}",
        "/metrics": b"many",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        status = 503 if "limit" in request.url.params else 200
        return httpx.Response(status, content=bodies[request.url.path])

    weighing = Weighing(httpx.MockTransport(answer))
    async with httpx.AsyncClient(transport=weighing, base_url=HERE) as client:
        for path in bodies:
            await client.get(path)
        await client.get("/channels/a/stream?mode=buffered")
        await client.get("/channels/a/messages?limit=1")  # not served
        await client.post("/channels/a/messages")
    size = len(bodies["/channels/a/stream"])
    assert weighing.sizes == {STREAM: size, TURN: size, PAGE: 2}
