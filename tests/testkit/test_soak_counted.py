"""The soak's law of counters finds each of them that is wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gapless.api.exposition import registry_of, text_of
from gapless.runtime.counters import Counters
from tests.soak.counted import Life, lives, numbers, posted, seen
from tests.testkit.app_fixture import running_app
from tests.testkit.history import History
from tests.testkit.load_publisher import Post, Publisher
from tests.testkit.reader import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testkit.valkey import Valkey

HERE, ELSEWHERE = "http://127.0.0.1:1", "http://127.0.0.1:11"


class Stream:
    messages = 40


def counted() -> Counters:
    """What a process counted that has appended 10 messages in 3 posts, and sent 40."""
    counters = Counters()
    for messages in (4, 4, 2):
        counters.publishes.took(0.01, "accepted", messages)
        counters.store.commands["EVALSHA", "publish"] += 1
    counters.publishes.took(0.01, "unavailable")
    counters.streams.begin(Stream())
    counters.gaps["reset"] = 2
    counters.streams.ended.update(("deadline", "unavailable", "disconnect"))
    counters.streams.opened += 3
    counters.streams.refused["unavailable"] = 1
    return counters


def life(counters: Counters, *, appended: int = 10, perhaps: int = 0, messages: int = 40) -> Life:
    seen = Counter({"messages": messages, "gaps{reset}": 2, "ends{deadline}": 1, "ends{unavailable}": 2})
    return Life("service 1", numbers(text_of(registry_of(counters, lambda: 1)).decode()), appended, perhaps, seen)


def test_what_is_right_passes() -> None:
    assert life(counted()).wrong() == []
    assert life(counted(), appended=7, perhaps=3, messages=39).wrong() == []  # one broke off, one had no answer


BROKEN: dict[str, Callable[[Counters], object]] = {
    "published 11": lambda c: setattr(c.publishes, "messages", 11),
    "published 9": lambda c: setattr(c.publishes, "messages", 9),
    "messages: 0 told": lambda c: [setattr(c.streams, "_open", set()), setattr(c.streams, "opened", 3)],
    "gaps{reset}: 1 told": lambda c: c.gaps.update({"reset": -1}),
    "ends{unavailable}: 1 told": lambda c: c.streams.refused.clear(),
    "opened 5 streams": lambda c: setattr(c.streams, "opened", 5),
    "2 scripts sent": lambda c: c.store.commands.subtract([("EVALSHA", "publish")]),
}
"""A counter that is broken, and what the law says of it."""


@pytest.mark.parametrize("words", BROKEN)
def test_a_counter_that_is_broken_is_found(words: str) -> None:
    counters = counted()
    BROKEN[words](counters)
    (sentence,) = life(counters).wrong()
    assert words in sentence


def test_posts_are_of_the_life_in_which_they_began_and_were_answered() -> None:
    posts = [
        Post(HERE, 5, 6, 1, "201"),  # an earlier life's
        Post(HERE, 9, 11, 2, "201"),  # under way when it started
        Post(HERE, 11, 12, 4, "201"),
        Post(HERE, 11, 12, 8, "200"),
        Post(HERE, 11, 12, 16, "503 none"),
        Post(HERE, 11, 12, 32, "503 unknown"),
        Post(HERE, 11, 12, 64, "ReadError"),
        Post(ELSEWHERE, 11, 12, 128, "201"),
    ]
    assert posted(posts, HERE, 10) == (4, 2 + 32 + 64)


def test_what_is_seen_is_of_the_life_in_which_its_connection_began() -> None:
    log = History().reader("ann", "c")
    connections = []
    for url, begun, messages in ((HERE, 5, 3), (HERE, 11, 4), (ELSEWHERE, 12, 5), (HERE, 13, 8)):
        connections.append(Connection(f"{url}/stream", begun, len(log.events)))
        for n in range(messages):
            log.message("c", str(n), n)
        log.gap("c", "reset", None, None, None, None)
        log.end("deadline" if begun < 13 else "shutdown")
    found = seen(connections, log.events, HERE, 10)
    assert found == {"messages": 12, "gaps{reset}": 2, "ends{deadline}": 1, "ends{shutdown}": 1}


async def test_a_process_that_nobody_breaks_counts_what_its_clients_saw(valkey: Valkey) -> None:
    """Exactly: nobody breaks off, and everything is answered."""
    async with running_app(valkey.url, metrics=True, lifetime=60) as found:

        class Here:
            url, started, port = "http://localhost", 0.0, 80

        ann = Publisher(History(), found.client, Here.url, "a")
        await ann.publish_many(20, most=5)
        answer = await found.client.get("/metrics")
        (one,) = await lives([Here], [ann], [], found.client)  # type: ignore[list-item]
    assert answer.status_code == 200
    assert (one.appended, one.perhaps, one.told["gapless_messages_published_total"]) == (20, 0, 20)
    assert one.wrong() == []
