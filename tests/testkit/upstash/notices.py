"""What becomes of notices on their way out: lines, and the faults that lose, double, reorder or delay them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.testkit.upstash.faults import Faults, How, Seen

if TYPE_CHECKING:
    from tests.testkit.upstash.faults import Armed


@dataclass(frozen=True)
class End:
    """The place in a queue at which an upstream ends."""

    how: How


class Notices:
    """The outgoing queue of one upstream. `push` is what Valkey said, `next` what is to be sent."""

    def __init__(self, path: str, faults: Faults) -> None:
        self.frozen = False
        self._path, self._faults = path, faults
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[float, bytes | End]] = asyncio.Queue()
        self._held: bytes | None = None
        self._let_go: asyncio.TimerHandle | None = None

    def push(self, push: list[bytes]) -> None:
        """Take one push of a subscribed connection: an acknowledgement or a message."""
        if not self.frozen:
            (self._message if push[0] in (b"message", b"pmessage") else self._acknowledgement)(push)

    async def next(self) -> bytes | End:
        """The next line, when it is due."""
        due, item = await self._queue.get()
        await asyncio.sleep(due - self._loop.time())
        return item

    def close(self) -> None:
        """Set no timer off any more."""
        if self._let_go is not None:
            self._let_go.cancel()

    def _acknowledgement(self, push: list[bytes]) -> None:
        self._put(_line(push))
        seen = Seen(self._path, ())
        if armed := self._faults.fire("cut_at_open", seen):
            self._put(End(armed.options["how"]))
        self.frozen = self._faults.fire("freeze_at_open", seen) is not None

    def _message(self, push: list[bytes]) -> None:
        seen = Seen(self._path, ((b"MESSAGE", *push[-2:]),))
        if self._faults.fire("freeze", seen):
            self.frozen = True
        elif armed := self._faults.fire("cut", seen):
            self._put(End(armed.options["how"]))
        elif not self._faults.fire("notice_drop", seen):
            self._deliver(_line(push), seen)

    def _deliver(self, line: bytes, seen: Seen) -> None:
        if self._held is None and (armed := self._faults.fire("notice_reorder", seen)):
            self._hold(line, armed)
            return
        late = self._faults.fire("notice_delay", seen)
        self._put(line, late.seconds() if late else 0.0)
        if self._faults.fire("notice_duplicate", seen):
            self._put(line)
        self._release()

    def _hold(self, line: bytes, armed: Armed) -> None:
        self._held = line
        self._let_go = self._loop.call_later(armed.options["hold_ms"] / 1000, self._release)

    def _release(self) -> None:
        self.close()
        if self._held is not None:
            self._put(self._held)
            self._held = None

    def _put(self, item: bytes | End, delay: float = 0.0) -> None:
        # Order is kept: what is due early still waits behind what went ahead of it.
        self._queue.put_nowait((self._loop.time() + delay, item))


def _line(push: list[bytes]) -> bytes:
    # Upstash REST docs, "Subscribe & Publish Commands": `data: subscribe,chat,1`, `data: message,chat,hello`;
    # a blank line ends each, and no base64. What a newline in a payload becomes is documented nowhere: here
    # it goes out as it is, and so spoils its event.
    return b"data: " + b",".join(push) + b"\n\n"
