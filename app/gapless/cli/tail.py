"""`gapless tail`: the messages of channels as they come, on standard output."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import click

from gapless.cli.failure import Failed
from gapless.cli.following import QUIET, Event, Following
from gapless.cli.remote import Remote, printable
from gapless.cli.shown import OWN, as_json, as_text


def where(channels: Sequence[str], history: int | None, start: str | None, *, buffered: bool = False) -> dict[str, str]:
    """The query of a stream. `start`: `start`, or a cursor; None for now, or for the last `history` of each channel.

    `buffered`: as turns, which are whole replies (docs/protocol.md, 3.11).
    """
    query = {"channel": ",".join(channels), **({"mode": "buffered"} if buffered else {})}
    if start is not None:
        query["after"] = start
    elif history is not None:
        query["history"] = str(history)
    return query


def tail(remote: Remote, query: dict[str, str], *, json: bool, count: int | None) -> int:
    """Print what comes; ends after `count` messages, else only when it is told to."""
    if count == 0:
        return 0
    seen, turns, show = 0, False, as_json if json else as_text
    with remote.client(QUIET) as http:
        following = Following(http, query, tell=_tell, sleep=time.sleep, random=random.random)
        for event in following.events():
            line = _line(event, show)
            message = event.kind not in OWN
            if event.kind == "hello":
                turns = event.read().get("mode") == "buffered"
            if event.kind == "end" and turns and not json:
                continue  # turns end all the time
            if line is not None:
                click.echo(_coloured(line, message), err=not (message or json))
            seen += message
            if seen == count:
                return 0
    return 0


def _line(event: Event, show: Callable[[Event], str | None]) -> str | None:
    try:
        return show(event)
    except (ValueError, TypeError, LookupError):
        raise Failed(f"this is no event of Gapless: {printable(event.kind)}: {printable(event.data[:200])}") from None


def _coloured(line: str, message: bool) -> str:
    """Gaps and ends stand out; `click.echo` takes colours off where there is no terminal."""
    return line if message else click.style(line, fg="yellow")


def _tell(sentence: str) -> None:
    click.echo(click.style(f"gapless: {sentence}", fg="yellow"), err=True)
