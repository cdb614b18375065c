"""What the armed faults do to one proxied connection: decisions and counts, no bytes are moved here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from tests.testkit.faults import (
    Blackhole,
    Cut,
    Delay,
    DropReply,
    Fault,
    Freeze,
    Jitter,
    MidFrame,
    Refuse,
    Reset,
    Trickle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.testkit.faults import Armed, Direction

How = Literal["fin", "rst"]
F = TypeVar("F", bound=Fault)


class Strikes:
    """The state of the faults on connection `index`. `faults` are all that were armed so far, a list that grows."""

    def __init__(self, index: int, faults: Sequence[Armed]) -> None:
        self.index = index
        self.dropping: DropReply | None = None
        """The request that went up last is to stay without a reply."""
        self._faults = faults
        self._chosen: dict[Armed, bool] = {}
        self._swallowed: set[Direction] = set()
        self._held: set[Armed] = set()
        self._passed: dict[Armed, int] = {}
        self._tails: dict[Armed, bytes] = {}
        self._claimed: Armed | None = None

    def refused(self) -> bool:
        """At acceptance."""
        return any(self._hit(armed, "up") for armed, _ in self._armed(Refuse))

    def latency(self, way: Direction) -> float:
        """Seconds by which a chunk that was read now is to be late."""
        delays = [delay.seconds for armed, delay in self._armed(Delay) if self._hit(armed, way)]
        jitters = [
            armed.dice(self.index, way).uniform(jitter.low, jitter.high)
            for armed, jitter in self._armed(Jitter)
            if self._hit(armed, way)
        ]
        return sum(delays) + sum(jitters)

    def falls(self, way: Direction, *, arrived: bool = True) -> bool:
        """Into a black hole, for good. The end of a side falls in too, but is no proof that bytes did."""
        for armed, _ in self._armed(Blackhole):
            if way not in self._swallowed and self._chooses(armed, way):
                self._swallowed |= armed.ways if arrived else {way}
                if arrived:
                    armed.hit()
        return way in self._swallowed

    def frozen(self, way: Direction) -> Armed | None:
        """The fault whose lifting has to be waited for; None once nothing holds this direction."""
        for armed, _ in self._armed(Freeze):
            held = armed in self._held and way in armed.ways and not armed.lifted.is_set()
            if held or self._chooses(armed, way):
                if armed not in self._held:
                    self._held.add(armed)
                    armed.hit()
                return armed
        return None

    def ask(self, chunk: bytes) -> None:
        """A chunk on its way up: is it a request whose reply is to be dropped?"""
        for armed, drop in self._armed(DropReply):
            seen = self._tails.get(armed, b"") + chunk
            asked = drop.request in seen
            self._tails[armed] = b"" if asked else _tail(seen, drop.request)
            if asked and not self.dropping and armed.strikes(self.index, "up"):
                armed.claim()
                self._claimed, self.dropping = armed, drop

    def dropped(self) -> How:
        """The reply was swallowed whole: how the connection ends now."""
        assert self.dropping is not None
        if self._claimed:
            self._claimed.hit()
        self.let_go()
        return "rst" if self.dropping.reset else "fin"

    def let_go(self) -> None:
        """The connection ends: what was bound to come will not, if it has not."""
        if self._claimed:
            self._claimed.release()
            self._claimed = None

    def struck(self, way: Direction) -> How | None:
        """How this chunk ends the connection instead of passing; None if it passes."""
        if any(self._hit(armed, way) for armed, _ in self._armed(Cut)):
            return "fin"
        return "rst" if any(self._hit(armed, way) for armed, _ in self._armed(Reset)) else None

    def torn(self, way: Direction, chunk: bytes) -> tuple[bytes, How | None]:
        """So much of this chunk as may still pass, and how the connection ends after it."""
        for armed, frame in self._armed(MidFrame):
            if self._chooses(armed, way):
                most = self._most(armed, frame, chunk)
                if most is not None:
                    armed.hit()
                    return chunk[:most], "rst" if frame.reset else "fin"
        return chunk, None

    def trickle(self, way: Direction) -> Trickle | None:
        """At which pace this chunk is to be written; None for at once."""
        return next((trickle for armed, trickle in self._armed(Trickle) if self._hit(armed, way)), None)

    def _most(self, armed: Armed, frame: MidFrame, chunk: bytes) -> int | None:
        """The number of bytes of `chunk` after which the frame is torn; None where it is not in this chunk."""
        if frame.after is not None:
            left = frame.after - self._passed.get(armed, 0)
            self._passed[armed] = self._passed.get(armed, 0) + len(chunk)
            return left if len(chunk) >= left else None
        assert frame.at
        before = self._tails.get(armed, b"")
        found = (before + chunk).find(frame.at)
        self._tails[armed] = _tail(before + chunk, frame.at)
        return None if found < 0 else found + len(frame.at) - len(before)

    def _armed(self, kind: type[F]) -> Iterator[tuple[Armed, F]]:
        for armed in tuple(self._faults):
            if isinstance(armed.fault, kind):
                yield armed, armed.fault

    def _hit(self, armed: Armed, way: Direction) -> bool:
        struck = armed.strikes(self.index, way)
        if struck:
            armed.hit()
        return struck

    def _chooses(self, armed: Armed, way: Direction) -> bool:
        """As `Armed.strikes`, but the dice are thrown once for the connection."""
        if not armed.aims_at(self.index, way):
            return False
        if armed not in self._chosen:
            self._chosen[armed] = armed.strikes(self.index, way)
        return self._chosen[armed]


def _tail(seen: bytes, pattern: bytes) -> bytes:
    """What may be the beginning of a `pattern` that the next chunk completes."""
    return seen[-len(pattern) + 1 :] if len(pattern) > 1 else b""
