"""Fifty messages over streams that are cut again and again: is any lost, doubled, out of order, or late?"""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass, field
from typing import Any

import httpx

from gapless.cli.doctor.finding import Finding, fail, note, ok
from gapless.cli.doctor.site import Reply, Site, number_of
from gapless.cli.following import Event

NAME, DELIVERY, REPEATS = "resume", "delivery", "retries"
MESSAGES, EVERY = 50, 10
"""How many, and after how many of them a stream is cut."""
UNKEYED = 5
"""Every fifth message has no `localId`: if a front sends it twice, it is there twice."""
PAUSE = 0.2
"""Seconds before the next stream where one brought nothing."""
LONGEST = 20.0
"""Seconds in which all must have come, or four times what a stream's beginning is given."""


@dataclass(slots=True)
class Seen:
    """`heard`: number and id of each message that came, in order. `took`: seconds from the post to the delivery of
    those that were posted while a stream was open. `streams`: how many it took.
    """

    posts: dict[int, Reply] = field(default_factory=dict)
    heard: list[tuple[int, str]] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    gaps: list[Any] = field(default_factory=list)
    streams: int = 0


async def probe(site: Site, cursor: str, *, buffered: bool) -> Seen:
    """Publish and read at the same time. `cursor`: after which the messages come. `buffered`: read in turns."""
    reader = _Reader(site, cursor, buffered=buffered)
    reading = asyncio.create_task(reader.run())
    try:
        async with asyncio.timeout(max(LONGEST, 4 * site.within)):
            for number in range(1, MESSAGES + 1):
                reader.started[number] = asyncio.get_running_loop().time()
                local_id = None if number % UNKEYED == 1 else f"doctor-{number}"
                reader.seen.posts[number] = await site.post({"doctor": number}, local_id)
            await reading
    except TimeoutError:
        pass
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    return reader.seen


class _Reader:
    """Reads until all have come. Each stream is cut after some of them; the next one goes on after the last id.

    `started`: when each was posted, by the loop's clock.
    """

    def __init__(self, site: Site, cursor: str, *, buffered: bool) -> None:
        self.seen = Seen()
        self.started: dict[int, float] = {}
        self._site = site
        self._cursor = cursor
        self._buffered = buffered

    async def run(self) -> None:
        while not self._complete:
            before = len(self.seen.heard)
            with contextlib.suppress(httpx.HTTPError):
                await self._stream()
            self.seen.streams += 1
            if len(self.seen.heard) == before:
                await asyncio.sleep(PAUSE)

    @property
    def _complete(self) -> bool:
        return len({number for number, _ in self.seen.heard}) == MESSAGES

    async def _stream(self) -> None:
        """One stream, to its end or to where it is cut."""
        loop = asyncio.get_running_loop()
        enough = len(self.seen.heard) + EVERY
        open_since = loop.time() if self._buffered else math.inf  # a turn's hello comes with what it waited for
        async with self._site.stream(self._site.channel, self._cursor, buffered=self._buffered) as (_, events):
            async for event in events:
                self._cursor = event.id or self._cursor
                if event.kind == "hello":
                    open_since = min(open_since, loop.time())
                elif event.kind == "gap":
                    self.seen.gaps.append(event.read())
                elif (number := number_of(event)) is not None and number > 0:
                    self._hear(number, event, open_since)
                    if self._complete or len(self.seen.heard) == enough:
                        return

    def _hear(self, number: int, event: Event, open_since: float) -> None:
        self.seen.heard.append((number, event.read()["id"]))
        if self.started[number] > open_since:
            self.seen.took.append(asyncio.get_running_loop().time() - self.started[number])


def judge(seen: Seen) -> list[Finding]:
    """All that these messages tell."""
    return [_resumed(seen), _delivered(seen), _repeated(seen)]


def _resumed(seen: Seen) -> Finding:
    taken = [number for number, post in sorted(seen.posts.items()) if post.status in (200, 201)]
    ids = [id for _, id in seen.heard]
    numbers = list(dict.fromkeys(number for number, _ in seen.heard))
    lost, doubled = sorted(set(taken) - set(numbers)), len(ids) - len(set(ids))
    figures = {"posted": len(taken), "lost": len(lost), "doubled": doubled, "streams": seen.streams}
    refused = [post for post in seen.posts.values() if post.status not in (200, 201)]
    if refused:
        said = f"{len(refused)} of {len(seen.posts)} posts failed: {refused[0].status or 'no answer'} {refused[0].said}"
        return fail(
            NAME, said, "Let the front pass POST requests on as they are; the service's log says more.", **figures
        )
    if lost or doubled or seen.gaps or numbers != sorted(numbers):
        said = f"Of {len(taken)} messages {len(lost)} did not come in time, {doubled} came twice, {len(seen.gaps)} gaps"
        change = "Let the front pass Last-Event-ID on, cache nothing, and send all requests to one deployment."
        return fail(
            NAME, f"{said}; the order was {'right' if numbers == sorted(numbers) else 'wrong'}.", change, **figures
        )
    return ok(NAME, f"{len(taken)} messages over {seen.streams} streams: none lost, none doubled, in order", **figures)


def _delivered(seen: Seen) -> Finding:
    took = sorted(seen.took)
    if not took:
        return note(DELIVERY, "not measured: no message came on a stream that was open when it was posted")
    p50, p99 = (round(took[min(len(took) - 1, int(len(took) * part))] * 1000) for part in (0.5, 0.99))
    return ok(DELIVERY, f"from post to client p50 {p50} ms, p99 {p99} ms ({len(took)} messages)", p50Ms=p50, p99Ms=p99)


def _repeated(seen: Seen) -> Finding:
    """A front that sends a POST again: its `localId` is known already, or the message is there twice."""
    known = [n for n, post in seen.posts.items() if post.member("duplicate") is True]
    held: dict[int, set[str]] = {}
    for number, id in seen.heard:
        held.setdefault(number, set()).add(id)
    twice = [number for number, ids in held.items() if len(ids) > 1]
    if not known and not twice:
        return ok(REPEATS, "every post arrived once", repeated=0)
    repeated = len(set(known) | set(twice))
    how_many = f"{repeated} of {len(seen.posts)}; {len(twice)} are there twice"
    said = f"Something before the service repeats POST requests: {how_many}."
    change = (
        "Switch retries of POST off (nginx: no non_idempotent in proxy_next_upstream; HAProxy: no retry-on beyond "
        "conn-failure); only clients that send a localId are safe from it."
    )
    return fail(REPEATS, said, change, repeated=repeated)
