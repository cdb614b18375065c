"""What all Redis stores share: the names of keys, the scripts with their arguments, and how to read their replies.

Both transports run the same `.lua` files. Replies may hold bytes (TCP) or text (REST); both are read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from gapless.log.cursor import Position
from gapless.log.entries import Entry, format_entry, parse_entry, parse_link
from gapless.log.errors import CorruptLog
from gapless.log.namespaces import Feature, Namespaces
from gapless.log.presence import MOST_USERS as MOST_PRESENT
from gapless.log.presence import Attendance
from gapless.log.publication import KEY_LIFETIME_MS, Accepted, KeyConflict, Limited, Outcome, Publication, Repeated
from gapless.log.receipts import MOST_BYTES, MOST_USERS, Receipt, format_mark
from gapless.log.signals import Signal
from gapless.log.store import NOTICE_LIMIT, Slice

Keyed = tuple[Sequence[str], Sequence[str | bytes]]
"""KEYS and ARGV of a script."""

Command = Callable[[], Keyed]
"""KEYS and ARGV of a script, made anew for each attempt."""


class NoScript(Exception):
    """The server does not know the script by its SHA-1; nothing ran."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the SHA-1 by which a server knows it."""

    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The script `lua/<name>.lua`."""
    text = files("gapless.stores").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def locking(script: Script) -> Script:
    """The script as Upstash runs it under a lock of its KEYS alone. Redis and Valkey refuse the flag."""
    text = "#!lua flags=allow-key-locking\n" + script.text
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Layout:
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


def read_outcome(publication: Publication, reply: Sequence[Any]) -> tuple[Outcome, bool]:
    """What `stores/lua/publish.lua` answered, and whether it has notified the subscribers."""
    match [text(part) for part in reply]:
        case ["accepted", epoch, seq, prev, notified, start]:
            return Accepted(_numbered(publication, epoch, int(seq), prev, int(start))), notified == "1"
        case ["repeated", *values]:
            return _repeated(publication, values), True
        case ["conflict", known, same]:
            return KeyConflict(int(known), int(same)), True
        case ["limited", wait]:
            return Limited(int(wait)), True
    raise CorruptLog(f"publish.lua answered {reply!r:.100}")


def read_slice(reply: Sequence[Any], first: int, last: int, back: bool = False) -> Slice:
    """What `stores/lua/slice.lua` answered to these questions; raises CorruptLog unless the entries are a chain in its
    place."""
    if not reply:
        return Slice()
    oldest, latest = (parse_link(_bytes(raw)) for raw in reply[:2])
    entries = read_entries(reply[2:])
    if entries:
        begun = entries[-1 if back else 0].position
        due = min(last, latest.position.seq) if back else max(first, oldest.position.seq)
        if begun.seq != due:
            raise CorruptLog(f"the log breaks at {begun}, where {due} is due")
    return Slice(tuple(entries), oldest, latest)


def read_entries(reply: Sequence[Any]) -> list[Entry]:
    """The entries that LRANGE answered; raises CorruptLog unless they form one chain."""
    entries = [parse_entry(_bytes(raw)) for raw in reply]
    for earlier, later in pairwise(entries):
        if not later.follows(earlier.position):
            raise CorruptLog(f"the log breaks between {earlier.position} and {later.position}")
    return entries


def _numbered(publication: Publication, epoch: str, seq: int, prev: str, start: int) -> tuple[Entry, ...]:
    """The entries as the script has written them."""
    entries = []
    for mark, draft in zip(publication.marks, publication.drafts, strict=True):
        entry = Entry(Position(epoch, seq, mark), prev, publication.now, draft.body, start)
        entries.append(entry)
        seq, prev, start = seq + 1, mark, start + len(format_entry(entry))
    return tuple(entries)


def _repeated(publication: Publication, values: list[str]) -> Repeated | KeyConflict:
    """The remembered ids: of the key for all, where there is one, else of each message's own key.

    A batch in which a message has no key may be known by the others, but nobody can know whether this one was sent.
    """
    if not publication.repeatable:
        return KeyConflict(len(values), len(values))
    if publication.key is not None:
        values = values[:1]
    ids: list[Position] = []
    time = 0
    for value in values:
        _, told, epoch, first, marks = value.split(" ")
        time = int(told)
        ids += [Position(epoch, int(first) + i, mark) for i, mark in enumerate(marks.split(","))]
    return Repeated(tuple(ids), time)


def text(part: Any) -> str:
    """A part of a reply, which is bytes over TCP and text over REST."""
    return part.decode() if isinstance(part, bytes) else str(part)


def _bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()
