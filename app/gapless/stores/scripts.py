"""What all Redis stores share: the names of keys, and the scripts with their arguments.

Both transports run the same `.lua` files; `stores/replies.py` reads what they answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from gapless.log.cursor import Position
from gapless.log.namespaces import Feature, Namespaces
from gapless.log.presence import MOST_USERS as MOST_PRESENT
from gapless.log.presence import Attendance
from gapless.log.publication import KEY_LIFETIME_MS, Publication
from gapless.log.receipts import MOST_BYTES, MOST_USERS, Receipt, format_mark
from gapless.log.signals import Signal
from gapless.log.store import NOTICE_LIMIT

Keyed = tuple[Sequence[str], Sequence[str | bytes]]
"""KEYS and ARGV of a script."""

Command = Callable[[], Keyed]
"""KEYS and ARGV of a script, made anew for each attempt."""


class NoScript(Exception):
    """The server does not know the script by its SHA-1; nothing ran."""


class Script(NamedTuple):
    """A script and the SHA-1 by which a server knows it."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The script `lua/<name>.lua`."""
    text = files("gapless.stores").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return _script(name, text)


def locking(script: Script) -> Script:
    """The script as Upstash runs it under a lock of its KEYS alone. Redis and Valkey refuse the flag."""
    return _script(script.name, "#!lua flags=allow-key-locking\n" + script.text)


@cache
def _script(name: str, text: str) -> Script:
    made = Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    _names[made.sha] = _names[made.text] = name
    return made


_names: dict[str, str] = {}
"""Of each script that was loaded, by its SHA-1 and by its text."""


def script_name(told: str) -> str:
    """The name of a script, by its SHA-1 or its text; '' for one that is none of ours."""
    return _names.get(told, "")


class Layout(NamedTuple):
    """How the keys are named, and how much of a log is kept: of every channel, or as its namespace says.

    The keys of a channel share a hash tag, so a cluster keeps them together. Topics hold the prefix and the database
    number, because pub/sub knows no databases.
    """

    prefix: str
    database: int
    cap: int
    retention: int
    cap_bytes: int = 67_108_864
    namespaces: Namespaces | None = None

    def home(self, channel: str) -> str:
        """What every key of the channel begins with."""
        return f"{self.prefix}:{{{channel}}}"

    def log(self, channel: str) -> str:
        """The list that is the channel's log."""
        return f"{self.home(channel)}:log"

    def topic(self, channel: str) -> str:
        """The pub/sub channel on which appended entries are told."""
        return f"{self.prefix}:{self.database}:{channel}"

    @property
    def pattern(self) -> str:
        """What all topics match."""
        return f"{self.prefix}:{self.database}:*"

    @property
    def features(self) -> set[Feature]:
        """What the channels of any namespace offer."""
        every = [] if self.namespaces is None else self.namespaces.every()
        return {feature for namespace in every for feature in namespace.features}

    def publish(self, publication: Publication, *, notify: bool = True) -> tuple[list[str], list[str | bytes]]:
        """KEYS and ARGV of `stores/lua/publish.lua`."""
        channel, rate, wanted = publication.channel, publication.rate, publication.keys()
        home = self.home(channel)
        subject = "" if rate is None else rate.subject
        cap, retention = self._kept(channel)
        keys = [self.log(channel), f"{home}:rate:{subject}", *(f"{home}:key:{key.name}" for key in wanted)]
        args: list[str | bytes] = [
            str(publication.now),
            publication.epoch,
            str(cap),
            str(max(1, cap // 4)),
            str(retention * 1000),
            self.topic(channel) if notify else "",
            str(NOTICE_LIMIT),
            "0" if rate is None else repr(rate.interval),
            "0" if rate is None else str(rate.burst),
            "0" if rate is None else repr(rate.byte_interval),
            "0" if rate is None else str(rate.byte_burst),
            str(self.cap_bytes),
            str(len(publication.drafts)),
            *publication.marks,
            *(draft.body for draft in publication.drafts),
        ]
        for key in wanted:
            args += [key.digest, str(key.first), str(key.count), str(KEY_LIFETIME_MS)]
        return keys, args

    def _kept(self, channel: str) -> tuple[int, int]:
        """How many messages are kept, and for how many seconds."""
        if self.namespaces is None:
            return self.cap, self.retention
        namespace = self.namespaces.of(channel)
        return namespace.cap, namespace.retention

    def signal(self, signal: Signal, notify: bool) -> tuple[list[str], list[str | bytes]]:
        """KEYS and ARGV of `stores/lua/signal.lua`, for a signal with a rate."""
        assert signal.rate is not None  # noqa: S101 - without one it is a command, not a script
        topic = self.topic(signal.channel) if notify else ""
        args: list[str | bytes] = [
            str(signal.now),
            repr(signal.rate.interval),
            str(signal.rate.burst),
            topic,
            signal.notice,
        ]
        return [f"{self.home(signal.channel)}:signals:{signal.rate.subject}"], args

    def receipts(self, channel: str) -> str:
        """The hash that holds how far each user has got."""
        return f"{self.home(channel)}:receipts"

    def receipt(self, receipt: Receipt, notify: bool) -> tuple[list[str], list[str | bytes]]:
        """KEYS and ARGV of `stores/lua/receipt.lua`."""
        _, retention = self._kept(receipt.channel)
        args: list[str | bytes] = [
            receipt.user,
            format_mark(receipt.marks.delivered),
            format_mark(receipt.marks.read),
            str(receipt.now),
            str(retention * 1000),
            self.topic(receipt.channel) if notify else "",
            str(MOST_USERS),
            str(MOST_BYTES),
        ]
        return [self.receipts(receipt.channel)], args

    def presence(self, channel: str) -> str:
        """The sorted set that holds when each user's lease ends."""
        return f"{self.home(channel)}:presence"

    def attendance(self, asked: Attendance, notify: bool) -> tuple[list[str], list[str | bytes]]:
        """KEYS and ARGV of `stores/lua/presence.lua`."""
        args: list[str | bytes] = [
            str(asked.lease),
            str(asked.below),
            self.topic(asked.channel) if notify else "",
            str(MOST_PRESENT),
            str(NOTICE_LIMIT),
            "1" if asked.tidy else "0",
            str(len(asked.own)),
            *asked.own,
            str(len(asked.leavers)),
        ]
        for user, believed in asked.leavers.items():
            args += [user, "" if believed is None else str(believed)]
        return [self.presence(asked.channel)], args

    def newest(self, channel: str, count: int, most: int, page: int) -> tuple[list[str], list[str | bytes]]:
        """KEYS and ARGV of `stores/lua/newest.lua`."""
        return [self.log(channel)], [str(count), str(most), str(page)]

    def slice(
        self, channel: str, first: int, last: int, most: int, page: int, back: bool, beside: Position | None
    ) -> tuple[list[str], list[str | bytes]]:
        """KEYS and ARGV of `stores/lua/slice.lua`."""
        epoch, _, mark = beside or ("", 0, "")
        flag = "1" if back else "0"
        return [self.log(channel)], [str(first), str(last), str(most), str(page), flag, epoch, mark]
