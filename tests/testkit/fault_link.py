"""One connection through the fault proxy: in each direction a reading and a writing task with a queue between."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from tests.testkit.fault_strikes import Strikes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from tests.testkit.fault_strikes import How
    from tests.testkit.faults import Armed, Direction

CHUNK = 65_536
QUEUE = 64
"""Chunks on their way in one direction; more are left to TCP, so that a slow side slows the other."""
PARTING = 1.0
"""Seconds that a side has to close after a FIN, before it is cut off."""


class Side:
    """One end's reader and writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def reset(self) -> None:
        """Close with a RST, unsent bytes and all."""
        sock: socket.socket | None = self.writer.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def part(self) -> None:
        """Send what is unsent and a FIN, then wait for the other's; a RST after PARTING seconds.

        Closing at once would send a RST instead where bytes lie unread.
        """
        try:
            async with asyncio.timeout(PARTING):
                with suppress(OSError):
                    if not self.writer.is_closing():
                        self.writer.write_eof()
                    while await self.reader.read(CHUNK):
                        pass
                self.writer.close()
                with suppress(OSError):
                    await self.writer.wait_closed()
        except TimeoutError:
            self.reset()

    async def gone(self) -> None:
        """Wait until the socket is closed."""
        with suppress(OSError):
            await self.writer.wait_closed()


class Link:
    """A client's connection and the upstream's that goes with it. `connect` reaches the upstream, or raises OSError."""

    def __init__(
        self, index: int, client: Side, connect: Callable[[], Awaitable[Side]], faults: Sequence[Armed]
    ) -> None:
        self._sides = [client]
        self._connect = connect
        self._faults = Strikes(index, faults)
        self._end: asyncio.Future[How] = asyncio.get_running_loop().create_future()
        self._quiet: asyncio.TimerHandle | None = None

    def sever(self, how: How) -> None:
        """End it; the first call decides how."""
        if not self._end.done():
            self._end.set_result(how)

    async def run(self) -> None:
        """Until both sides have closed, or a fault or a caller severs it. Cancelled: resets both sides."""
        try:
            if self._faults.refused():
                return
            if self._faults.falls("up"):
                await self._until_severed(self._swallow())
                return
            self._sides.append(await self._connect())
            await self._until_severed(self._both_ways())
            if self._end.result() == "fin":
                await asyncio.gather(*(side.part() for side in self._sides))
        except OSError:
            pass  # one side has broken off: so does the other
        finally:
            self._faults.let_go()
            if self._quiet:
                self._quiet.cancel()
            for side in self._sides:
                side.reset()
            await asyncio.gather(*(side.gone() for side in self._sides))

    async def _until_severed(self, work: Coroutine[None, None, None]) -> None:
        """Do it until it is done or the link is severed. Raises what it raises."""
        task = asyncio.create_task(work)
        either: set[asyncio.Future[Any]] = {task, self._end}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.sever("fin")
            task.cancel()
            await asyncio.wait({task})
            broken = None if task.cancelled() else task.exception()
        if broken is not None:
            raise broken

    async def _swallow(self) -> None:
        while await self._sides[0].reader.read(CHUNK):
            pass
        await _for_ever()

    async def _both_ways(self) -> None:
        client, upstream = self._sides
        broken = False
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._way("up", client, upstream))
                ways.create_task(self._way("down", upstream, client))
        except* OSError:
            broken = True
        if broken:
            raise ConnectionResetError

    # One direction

    async def _way(self, way: Direction, here: Side, there: Side) -> None:
        """Read, hold back, strike or pass on, until this side has nothing more to say."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take_in(way, here.reader, queue))
            both.create_task(self._give_out(way, there.writer, queue))

    async def _take_in(
        self, way: Direction, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        loop, chunk = asyncio.get_running_loop(), b"?"
        while chunk:
            chunk = await reader.read(CHUNK)
            late = self._faults.latency(way) if chunk else 0.0
            await queue.put((loop.time() + late, chunk))

    async def _give_out(
        self, way: Direction, writer: asyncio.StreamWriter, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        loop, chunk = asyncio.get_running_loop(), b"?"
        while chunk:
            due, chunk = await queue.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await (self._pass(way, writer, chunk) if chunk else self._pass_end(way, writer))

    async def _pass(self, way: Direction, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        """What happens to one chunk: each fault in turn may swallow, hold or end it."""
        if self._faults.falls(way):
            return
        await self._thaw(way)
        if way == "up":
            self._faults.ask(chunk)
        elif self._faults.dropping:
            self._await_quiet(self._faults.dropping.quiet)
            return
        if how := self._faults.struck(way):
            self.sever(how)
        if self._end.done():
            await _for_ever()
        chunk, how = self._faults.torn(way, chunk)
        await self._write(way, writer, chunk)
        if how:
            self.sever(how)

    async def _pass_end(self, way: Direction, writer: asyncio.StreamWriter) -> None:
        """One side has closed: tell the other, unless the news is lost with all else."""
        if self._faults.falls(way, arrived=False):
            await _for_ever()
        await self._thaw(way)
        if way == "down" and self._quiet:
            self._drop()
        if not self._end.done():
            writer.write_eof()

    async def _write(self, way: Direction, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        slow = self._faults.trickle(way)
        size = slow.size if slow else len(chunk)
        for start in range(0, len(chunk), size or 1):
            writer.write(chunk[start : start + size])
            await writer.drain()
            if slow:
                await asyncio.sleep(slow.interval)

    async def _thaw(self, way: Direction) -> None:
        while frozen := self._faults.frozen(way):
            await frozen.lifted.wait()

    def _await_quiet(self, seconds: float) -> None:
        if self._quiet:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(seconds, self._drop)

    def _drop(self) -> None:
        if not self._end.done():
            self.sever(self._faults.dropped())


async def _for_ever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError
