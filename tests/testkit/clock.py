"""Virtual time: an event loop whose clock jumps to the next timer, so that 240 s take milliseconds.

A module, class or test asks for it with one line, which `tests/conftest.py` understands:

    pytestmark = pytest.mark.virtual_time

Only what lives in the loop is seen. Real sockets and threads of a test's own are refused with a clear
error; what asyncio or anyio would hand to a worker thread is run in its place, and takes no time.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import anyio.to_thread
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# What the wall clock says when a virtual loop is born: 2026-01-01T00:00:00Z, in epoch seconds.
START = 1_767_225_600.0

# A test that runs past this many virtual seconds waits for something that never comes, while some
# periodic timer (a heartbeat, a recheck) keeps the loop from standing still.
HORIZON = 14 * 86_400.0


class Standstill(RuntimeError):
    """The loop can never move again, or only periodic timers move it: a deadlock under test."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop with `time()` starting at 0 that jumps instead of waiting."""

    def __init__(self) -> None:
        self._virtual_now = 0.0
        self._settling: list[asyncio.Future[None]] = []
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._virtual_now

    def idle(self, timeout: float | None) -> None:
        """Nothing is ready, and the next timer is `timeout` seconds away: settle first, else jump."""
        settling = [future for future in self._settling if not future.done()]
        self._settling.clear()
        if settling:
            for future in settling:
                future.set_result(None)
        elif timeout is None:
            self._stand_still("nothing is ready and no timer is set")
        elif self._virtual_now + timeout > HORIZON:
            self._stand_still(f"{HORIZON / 86_400:g} virtual days have passed")
        else:
            self._virtual_now += timeout

    def _stand_still(self, why: str) -> NoReturn:
        tasks = sorted(_where(task) for task in asyncio.all_tasks(self))
        raise Standstill(f"virtual time stands still: {why}. Waiting:\n  " + "\n  ".join(tasks))

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """What would go to a thread is run here and now, and takes no time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, **kwargs: Any
    ) -> asyncio.Handle:
        """As ever, but refused to real threads, whose work the loop would jump over."""
        if self.is_running() and self._thread_id != threading.get_ident():  # type: ignore[attr-defined]
            raise RuntimeError(f"no threads on virtual time: {callback!r}")
        return super().call_soon_threadsafe(callback, *args, **kwargs)

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        if fd != self._ssock.fileno():  # type: ignore[attr-defined]  # the loop's own wake-up pipe
            raise RuntimeError("no real sockets on virtual time")
        return super()._add_reader(fd, callback, *args)  # type: ignore[misc]

    def _add_writer(self, fd: Any, callback: Any, *args: Any) -> NoReturn:
        raise RuntimeError("no real sockets on virtual time")


class _JumpingSelector(selectors.BaseSelector):
    """Never waits: asks the real selector what is there now, and tells the loop when that is nothing."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._real = selectors.DefaultSelector()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        # A timer that is due within rounding error is due now, not an instant to jump to.
        if not events and (timeout is None or timeout > 1e-9):
            self._loop.idle(timeout)
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualClock:
    """The wall clock of one instance on virtual time: epoch seconds from `START`, plus `skew` seconds.

    Pass the method `now` wherever the product takes a clock. Two clocks with different `skew` are
    two machines that disagree.
    """

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew

    def now(self) -> float:
        """Epoch seconds. RuntimeError outside a running virtual loop."""
        return START + running_loop().time() + self.skew


def running_loop() -> VirtualLoop:
    """The running virtual loop; RuntimeError where the test runs on real time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise RuntimeError("this needs virtual time: mark the test with pytest.mark.virtual_time")
    return loop


@contextmanager
def no_worker_threads() -> Iterator[None]:
    """`anyio.to_thread.run_sync` (Starlette's thread pool, sync dependencies, files) runs its function in place."""

    async def run_sync(func: Callable[..., Any], *args: Any, **_: object) -> Any:
        await asyncio.sleep(0)
        return func(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anyio.to_thread, "run_sync", run_sync)
        yield


async def settle() -> None:
    """Return when nothing is ready at the present virtual instant; no time passes."""
    loop = running_loop()
    future = loop.create_future()
    loop._settling.append(future)
    await future


async def advance(seconds: float) -> None:
    """Let `seconds` of virtual time pass, then settle: all that was due in them has run."""
    running_loop()
    await asyncio.sleep(seconds)
    await settle()


def _where(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    place = f"{frames[0].f_code.co_qualname}:{frames[0].f_lineno}" if frames else "not started"
    return f"{task.get_name()} at {place}"
