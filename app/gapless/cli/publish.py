"""`gapless publish`: a text, or the lines of standard input, to a channel."""

from __future__ import annotations

import io
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import click

from gapless.cli.failure import Failed
from gapless.cli.lines import Form, Lines, batches
from gapless.cli.remote import Remote
from gapless.cli.sending import Sending

ANSWERED_WITHIN = 35.0
"""Seconds for a reply: longer than any platform lets a function run that has a body to hand over."""
PIECE = 65_536
"""Bytes that are read from standard input at once. What is there is sent: a slow writer's line waits for no other."""


class Progress:
    """What is done so far, on standard error where that is a terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.messages = 0
        self._clock = clock
        self._shown = clock()
        self._terminal = sys.stderr.isatty()

    def add(self, messages: int) -> None:
        """So many more were published."""
        self.messages += messages
        if self._terminal and self._clock() - self._shown > 0.2:
            self._shown = self._clock()
            click.echo(f"\r{self.messages:,} published", nl=False, err=True)

    def tell(self, sentence: str) -> None:
        """A line that stays."""
        click.echo(f"{self._clear()}gapless: {sentence}", err=True)

    def end(self, channel: str) -> None:
        """The sum."""
        click.echo(f"{self._clear()}{self.messages:,} published to {channel}", err=True)

    def _clear(self) -> str:
        return "\r\x1b[K" if self._terminal else ""


def publish(remote: Remote, channel: str, text: str, form: Form, patience: float) -> int:
    """Publish `text`, or for `-` each line of standard input. Prints the id of a text, the number of lines."""
    progress = Progress()
    with remote.client(ANSWERED_WITHIN) as http:
        sending = Sending(
            http,
            channel,
            tell=progress.tell,
            clock=time.monotonic,
            sleep=time.sleep,
            random=random.random,
            patience=patience,
        )
        if text != "-":
            click.echo("\n".join(sending.send([form.message(1, text)])))
            return 0
        try:
            publish_lines(sending, form, partial(_standard_input().read1, PIECE), progress)
        except (Failed, KeyboardInterrupt):
            progress.tell(
                f"stopped: the first {progress.messages:,} are published; of those that follow it is not known."
            )
            raise
        progress.end(channel)
    return 0


def publish_lines(sending: Sending, form: Form, read: Callable[[], bytes], progress: Progress) -> None:
    """Publish what `read` returns, piece by piece, until it returns nothing."""
    number = 1
    for lines in _pieces(read):
        messages = form.messages(number, lines)
        number += len(lines)
        for batch in batches(messages):
            sending.send(batch)
            progress.add(len(batch))


def _pieces(read: Callable[[], bytes]) -> Iterator[list[str]]:
    lines = Lines()
    while piece := read():
        yield lines.feed(piece)
    yield lines.rest()


def _standard_input() -> io.BufferedReader:
    if sys.stdin.isatty():
        click.echo("Each line is a message; Ctrl-D ends.", err=True)
    return cast(io.BufferedReader, sys.stdin.buffer)


def new_key() -> str:
    """Opens the `localId` of each message of one run."""
    return uuid.uuid4().hex
