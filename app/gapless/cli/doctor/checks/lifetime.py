"""How long does a quiet stream really live, and do its heartbeats arrive? In turns: is one that waits cut off?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from gapless.cli.doctor.blocks import COMMENT
from gapless.cli.doctor.finding import Finding, fail, note, ok, skip
from gapless.cli.doctor.site import Site, reason_of
from gapless.cli.remote import unreachable

NAME, HEARTBEAT = "lifetime", "heartbeat"
HOLD = 20.0
"""Seconds for which a turn waits at most (docs/protocol.md, 3.11)."""
LATE = 2.5
"""Heartbeats that may be missing before something swallows them."""


@dataclass(slots=True)
class Seen:
    """`lived`, `silent`: seconds in all, and since the last byte. `ended`: the reason that the service gave.

    `cut`: how it broke off without one; empty where it still lived at the end of the watch.
    """

    watch: float
    hello: dict[str, Any] | None = None
    status: int = 0
    lived: float = 0.0
    silent: float = 0.0
    comments: int = 0
    ended: str = ""
    cut: str = ""


async def probe(site: Site, *, turns: bool) -> Seen:
    """Watch a stream on a channel where nothing is published. `turns`: take one whole reply after the other."""
    seen = Seen(min(site.watch, HOLD + 10) if turns else site.watch)
    loop = asyncio.get_running_loop()
    began = last = loop.time()
    try:
        async with asyncio.timeout(seen.watch):
            cursor = await _cursor(site) if turns else ""
            began = last = loop.time()
            async with site.stream(site.quiet, cursor, buffered=turns) as (reply, events):
                seen.status = reply.status_code
                async for event in events:
                    last = loop.time()
                    seen.comments += event is COMMENT
                    if event.kind == "hello":
                        seen.hello = event.read()
                    if event.kind == "end":
                        seen.ended = reason_of(event)
        seen.cut = "" if seen.ended else "it was closed"
    except TimeoutError:
        pass
    except httpx.HTTPError as error:
        seen.cut = "" if seen.ended else unreachable(error)
    seen.lived, seen.silent = loop.time() - began, loop.time() - last
    return seen


async def _cursor(site: Site) -> str:
    """Who brings one waits for news; without one a turn is answered at once."""
    async with site.stream(site.quiet, buffered=True) as (_, events):
        async for event in events:
            if event.id:
                return event.id
    return ""


def judge(seen: Seen) -> list[Finding]:
    """Of a stream."""
    heartbeat = float((seen.hello or {}).get("heartbeat") or 15.0)
    promised = float((seen.hello or {}).get("lifetime") or 0.0)
    if seen.cut or seen.status not in (0, 200):
        return [_cut(seen, heartbeat)]
    if seen.hello is None:
        return [skip(NAME, f"not measured: the stream said nothing for {seen.lived:.0f} s")]
    return [_lived(seen, promised), _beats(seen, heartbeat)]


def judge_turn(seen: Seen) -> list[Finding]:
    """Of a turn that waited for something to come."""
    if seen.cut or seen.status not in (0, 200):  # its head may wait for its end
        why = seen.cut or f"answered with {seen.status}"
        raised = f"Raise the front's time limit above {HOLD:g} s (Lambda: the function's timeout to 29 s)."
        return [fail(NAME, f"A turn that waits is cut off after {seen.lived:.1f} s: {why}.", raised)]
    if not seen.ended:
        return [note(NAME, f"a turn waited for {seen.lived:.0f} s, and was not cut off", seconds=round(seen.lived, 1))]
    return [ok(NAME, f"a turn waited for {seen.lived:.0f} s, and ended as it should", seconds=round(seen.lived, 1))]


def _cut(seen: Seen, heartbeat: float) -> Finding:
    why = seen.cut or f"answered with {seen.status}"
    said = f"The stream is cut off after {seen.lived:.1f} s, of which {seen.silent:.1f} s were silent: {why}."
    change = (
        f"Raise the front's limit on silence above GAPLESS_HEARTBEAT ({heartbeat:g} s; nginx: proxy_read_timeout, "
        "HAProxy: timeout server and timeout tunnel), or lower GAPLESS_HEARTBEAT; a limit on the whole reply belongs "
        "above GAPLESS_LIFETIME."
    )
    return fail(NAME, said, change, seconds=round(seen.lived, 1))


def _lived(seen: Seen, promised: float) -> Finding:
    if not seen.ended:
        said = f"a stream lived for all of the {seen.lived:.0f} s that it was watched; it promises {promised:.0f} s"
        return ok(NAME, said, seconds=round(seen.lived, 1), promised=promised)
    if seen.ended == "deadline":
        said = f"a stream ended as planned, after {seen.lived:.0f} of {promised:.0f} s"
        return ok(NAME, said, seconds=round(seen.lived, 1), promised=promised)
    said = f"The service ended the stream after {seen.lived:.1f} s: {seen.ended}."
    return fail(NAME, said, "The service's log says why.", seconds=round(seen.lived, 1))


def _beats(seen: Seen, heartbeat: float) -> Finding:
    if seen.comments:
        return ok(HEARTBEAT, f"{seen.comments} in {seen.lived:.0f} s; comments are passed on", comments=seen.comments)
    if seen.silent < LATE * heartbeat:
        return note(HEARTBEAT, f"none is due yet: one comes after {heartbeat:g} s of silence")
    said = f"None came in {seen.silent:.0f} s of silence, where one is due every {heartbeat:g} s."
    return fail(HEARTBEAT, said, "Let the front pass comment lines on at once, as it does all other lines.")
