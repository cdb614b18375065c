"""Does a stream arrive as it is sent, or does something before the service hold it back or compress it?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from gapless.cli.doctor.finding import Finding, fail, ok
from gapless.cli.doctor.site import Site, number_of, reason_of
from gapless.cli.remote import unreachable

NAME, COMPRESSION = "stream", "compression"
_UNBUFFER = (
    "Switch buffering of replies off in what stands before the service (nginx: proxy_buffering off, or obey "
    "X-Accel-Buffering), or let clients ask for mode=buffered."
)
_UNCOMPRESS = "Take text/event-stream out of what the front compresses (nginx: gzip_types), or obey no-transform."


@dataclass(slots=True)
class Seen:
    """`hello`: its data, and after how many seconds it came. `message_after`: seconds from a post to its delivery."""

    status: int = 0
    said: str = ""
    kind: str = ""
    encoding: str = ""
    hello: dict[str, Any] | None = None
    hello_after: float = 0.0
    message_after: float | None = None
    ended: str = ""
    waited: float = 0.0

    @property
    def turns(self) -> bool:
        """Whether replies are handed over whole, by the service itself."""
        return self.hello is not None and self.hello.get("mode") == "buffered"

    @property
    def held(self) -> bool:
        """Whether something holds back what the service sends at once, the reply's head perhaps."""
        came = self.status == 0 or self.kind.startswith("text/event-stream")
        missing = self.hello is None or (not self.turns and self.message_after is None)
        return came and missing and not self.ended and not self.said


async def probe(site: Site) -> Seen:
    """Open a stream; publish once it says hello."""
    seen, loop = Seen(), asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(2 * site.within):
            await _read(site, seen)
    except TimeoutError:
        pass
    except httpx.HTTPError as error:
        seen.said = unreachable(error)
    seen.waited = loop.time() - began
    return seen


async def _read(site: Site, seen: Seen) -> None:
    loop = asyncio.get_running_loop()
    began = posted = loop.time()
    async with asyncio.timeout(site.within) as limit, site.stream(site.channel, encodings="gzip") as (reply, events):
        seen.status, seen.kind = reply.status_code, reply.headers.get("content-type", "")
        seen.encoding = reply.headers.get("content-encoding", "")
        async for event in events:
            if event.kind == "hello":
                seen.hello, seen.hello_after = event.read(), loop.time() - began
                if seen.turns:
                    return
                posted = loop.time()
                limit.reschedule(posted + site.within)
                await site.post({"doctor": -1}, "doctor-live")
            elif event.kind == "end":
                seen.ended = reason_of(event)
            elif number_of(event) == -1:
                seen.message_after = loop.time() - posted
                return
    if not seen.ended and seen.status == 200:
        seen.said = "it is closed at once, without a word of the service"


def judge(seen: Seen) -> list[Finding]:
    """What a client sees of a stream's beginning."""
    if seen.said or (not seen.held and (seen.status != 200 or not seen.kind.startswith("text/event-stream"))):
        answer = f"{seen.status} {seen.kind}".rstrip() if seen.status else "nothing"
        said = f"A stream is answered with {answer}{f': {seen.said}' if seen.said else ''}."
        return [fail(NAME, said, "See what answers there; the service itself answers streams with 200.")]
    if seen.encoding:
        said = f"Something compresses the stream ({seen.encoding}), and holds messages back to do so."
        return [fail(COMPRESSION, said, _UNCOMPRESS), *([] if seen.held else [_good(seen)])]
    if seen.ended:
        change = (
            "Ask again; if it stays so, the service's log says why."
            if seen.ended != "busy"
            else "Raise GAPLESS_STREAMS."
        )
        return [fail(NAME, f"The service ends the stream at once ({seen.ended}).", change)]
    if seen.held:
        what = "no event" if seen.hello is None else "a hello, but no message"
        said = f"Something holds the stream back: in {seen.waited:.0f} s came {what}."
        return [fail(NAME, said, _UNBUFFER)]
    return [_good(seen), ok(COMPRESSION, "none, as it should be")]


def _good(seen: Seen) -> Finding:
    hello = round(seen.hello_after * 1000)
    if seen.turns:
        return ok(
            NAME, f"answered in turns, whole (buffered mode, as on Lambda); hello after {hello} ms", mode="buffered"
        )
    message = round((seen.message_after or 0.0) * 1000)
    said = f"it streams: hello after {hello} ms, a message {message} ms after it was posted"
    return ok(NAME, said, mode="streaming", helloMs=hello, messageMs=message)
