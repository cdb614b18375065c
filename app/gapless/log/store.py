"""The port: what the service asks of a store, and what every store promises. Pure.

A store holds one log per channel: a list of entries whose newest one says which number comes next. Every method raises
StoreUnavailable when the store does not answer in time (DEADLINE), and CorruptLog when something else wrote under our
keys. `tests/stores/contract/` holds every store to each sentence here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gapless.log.cursor import Position
from gapless.log.entries import Entry, Link
from gapless.log.presence import Attendance, Living
from gapless.log.publication import Outcome, Publication
from gapless.log.receipts import Marks, Receipt
from gapless.log.signals import Signal

DEADLINE = 9.0
"""Seconds for one question to a store, with all its attempts and whatever they wait for. A server that is told to stop
gives requests ten, and answers those that are left with a 500.

This is the only deadline of a question, and `stores/attempts.py` keeps it. What ends a single attempt is in the
transports (`REPLY_TIMEOUT`): sooner, so that there is time for a second one. What notices that the deadline itself was
lost is in `channels/bounded.py`: later, so that it never decides while the deadline holds.
"""

NOTICE_LIMIT = 65_536
"""Bytes above which a notice names only the newest position and costs each process one read."""

TAIL, NEWEST, SLICE = 1, 3, 5
"""Commands that these reads cost: an LRANGE; a script around one or two; one around LINDEX, LINDEX and one or two."""

MOST_BYTES = 524_288
"""What one read of many entries returns at most, but at least one entry: an entry counts 160 bytes more than it has,
which is about what its event on a stream has more."""


class ChannelInfo(NamedTuple):
    """A channel that has a log: how many messages are kept, and the newest."""

    channel: str
    messages: int
    latest: Entry


class Room(NamedTuple):
    """How much of a channel a reader can take: messages, and bytes; a single message may have more bytes."""

    messages: int
    size: int


class Slice(NamedTuple):
    """Entries by seq, and the two ends of the log they were cut from, all at one instant. Empty log: both ends None."""

    entries: tuple[Entry, ...] = ()
    oldest: Link | None = None
    latest: Link | None = None


class Listener(Protocol):
    """Gets the notices of one subscription. Called on the event loop; must not block and must not raise."""

    def notice(self, entries: Sequence[Entry] | Position) -> None:
        """Messages were appended (or, too large to travel: up to this position). May be lost, late, foreign."""

    def all_told(self) -> None:
        """That is all which has come for now: what comes next is waited for. A store need not say so."""

    def aside(self, notice: bytes) -> None:
        """A notice that begins with `!`: it tells of no messages. May be lost, late, doubled, of an unknown kind."""

    def lost(self) -> None:
        """The subscription is lost. The store tries to open it again."""

    def heard(self) -> None:
        """The subscription is acknowledged again. Any notice may have been missed meanwhile."""


class Subscription(Protocol):
    """One subscription to one channel."""

    def suspect(self) -> None:
        """The log held what no notice has told: make sure that this still hears, by a new subscription if need be."""

    async def close(self) -> None:
        """No call reaches the listener after this has been called. Never raises."""


class Store(Protocol):
    """One log per channel, and notices of what is appended."""

    name: str
    """What it is and where, for people; without secrets."""

    recheck: float
    """Seconds after which a quiet channel is read again, unless set otherwise: what bounds a lost notice."""

    lag: float
    """Seconds after which every read sees what was appended before: more than replicas lag behind; 0 without any."""

    page: int
    """The most entries that are taken from the log at once, whatever their size: 8 MiB of the largest messages."""

    def state(self) -> dict[str, str]:
        """How it works at the moment, for `/readyz` and for people: `notices`, `scripts`."""

    async def publish(self, publication: Publication) -> Outcome:
        """Check, number, append, trim, remember the keys and count the rate in one atomic step, then notify.

        Seqs have no holes within an epoch. At least `cap` messages are kept, at most a quarter more; of those that make
        more than `cap_bytes`, as they are stored, at least three quarters, and always the newest. A remembered key
        counts as long as the log is the one whose message it names, trimmed away or not. With an idempotency key on
        every message a write whose reply was lost is sent again; otherwise it never is, and the
        error says `outcome_unknown`.
        """

    async def tail(self, channel: str, count: int, most: int | None = None) -> list[Entry]:
        """The newest `count` entries, oldest first, contiguous. One read.

        With `most`, as many as fit so many bytes (see MOST_BYTES), but one: a script. Without, at most `page`: one
        command, which may bring `page` of the largest messages. Else fewer than `count` means that there are no more.
        """

    async def slice(
        self,
        channel: str,
        first: int,
        last: int,
        *,
        most: int = MOST_BYTES,
        back: bool = False,
        beside: Position | None = None,
    ) -> Slice:
        """The entries `first` to `last` by seq, as many as fit `most` bytes, but one; and the log's ends. One script.

        They begin at `first`, or with `back` end at `last`. `beside` is the position that they must join: the one just
        before `first`, with `back` that of the entry after `last`. Where the log does not hold it, only the ends come.
        An empty epoch matches any.
        """

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """Listen to a channel. Returns once the store has acknowledged: what is appended from then on is told."""

    async def signal(self, signal: Signal) -> int:
        """Count a signal towards its rate, and tell it to those who listen. Nothing of it is stored.

        Returns the milliseconds after which it would pass; 0: it was told. One command; with a rate four, refused two.
        Raises CannotSignal where this process polls.
        """

    @property
    def tells_asides(self) -> bool:
        """True where notices of no messages reach this process: not while it polls."""

    async def raise_marks(self, receipt: Receipt) -> tuple[Marks, bool]:
        """Raise a user's marks, and tell them; returns those that hold now, and whether one has risen.

        One atomic step of four commands, two where nothing rises; one more for a new user, and one where the expiry is
        set again. All marks expire with the retention after the last that rose; of more than MOST_USERS or MOST_BYTES
        those that have not risen for longest give way.
        """

    async def marks(self, channel: str) -> dict[str, Marks]:
        """All marks of a channel, by user. One command."""

    async def attend(self, asked: Attendance) -> Living:
        """Read who is on a channel, extend and end leases, and tell who came and went, in one atomic step.

        Leases end in the store's own time. Three commands; one more where leases are extended, two more for who comes
        and where it is tidied, two more for who goes.
        """

    async def forget(self, channel: str) -> None:
        """Delete the channel's log, and have its readers look. Its next message begins a new epoch.

        What its keys remember counts for nothing from then on; they expire by themselves. A few commands, whatever else
        the store holds.
        """

    async def channels(self, cursor: str) -> tuple[list[ChannelInfo], str | None]:
        """A page of the channels that have a log, in no order; "0" begins, None ends. Some may come twice."""

    async def ping(self) -> None:
        """Return once the store has answered."""

    async def check(self) -> None:
        """Return once it is seen that messages can be published and heard; the error names what is missing.

        What little does not work besides stands in `state` as `missing`. A command or two, where it was seen before.
        """

    async def close(self) -> None:
        """Close every connection and end every task."""
