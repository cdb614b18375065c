"""The demo's writer: each word once, in order; silent as soon as somebody else has written; bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gapless.api.app import Sent
from gapless.api.schemas import OWN_EVENTS
from gapless.log.errors import Busy, Conflict
from gapless.services.typewriter import ANSWER, MOST, PAUSE, SECONDS, WORDS, Typewriter, pieces

pytestmark = pytest.mark.virtual_time


class Log:
    """A channel's log as `publish` writes it: the same `localId` once. `slow`: seconds that each publish takes."""

    def __init__(self, slow: float = 0) -> None:
        self.events: list[tuple[str, Any]] = []
        self.known: dict[str, tuple[str, str]] = {}
        self._slow = slow

    async def publish(self, channel: str, data: Any, *, event: str, user: str, local_id: str) -> Sent:
        await asyncio.sleep(self._slow)
        assert event not in OWN_EVENTS
        assert (channel, user) == ("run:1234", "run")
        if local_id in self.known:
            place, content = self.known[local_id]
            if content != repr(data):
                raise Conflict("other content")
            return Sent(place, 0, duplicate=True)
        place = self.write(event, data)
        self.known[local_id] = place, repr(data)
        return Sent(place, 0, duplicate=False)

    def write(self, event: str, data: Any = None) -> str:
        """As somebody else does."""
        self.events.append((event, data))
        return f"t9x2k0ab-{len(self.events)}-7qd1"

    @property
    def kinds(self) -> list[str]:
        return [event for event, _ in self.events]


def test_pieces_are_the_text() -> None:
    assert "".join(word for piece in pieces(ANSWER) for word in piece) == ANSWER
    assert max(len(piece) for piece in pieces(ANSWER)) == WORDS


async def test_the_whole_text_is_written_once_in_order() -> None:
    log = Log()
    await Typewriter().run("run:1234", log.publish)
    assert "".join(data["text"] for event, data in log.events if event == "text") == ANSWER
    assert sum(data["tokens"] for event, data in log.events if event == "text") == len(ANSWER.split())
    assert log.kinds == ["start", *["text"] * (len(log.events) - 2), "finish"]
    assert log.events[-1] == ("finish", {"reason": "done"})
    assert len(log.events) <= 200, "a page of history holds a run"


async def test_a_run_that_was_begun_is_not_begun_again() -> None:
    log, writer = Log(), Typewriter()
    await asyncio.gather(*(writer.run("run:1234", log.publish) for _ in range(3)))
    assert log.kinds.count("start") == log.kinds.count("finish") == 1
    before = len(log.events)
    await writer.run("run:1234", log.publish)
    assert len(log.events) == before


@pytest.mark.parametrize("what", ["finish", "kill"])
async def test_the_writer_is_silent_once_somebody_else_has_written(what: str) -> None:
    log = Log()
    run = asyncio.create_task(Typewriter().run("run:1234", log.publish))
    await asyncio.sleep(PAUSE * 3.5)
    log.write(what)
    await run
    assert log.kinds == ["start", "text", "text", "text", what, "text"], "it notices by its next message's number"


async def test_an_end_that_came_a_moment_earlier_stands() -> None:
    log = Log()
    log.known["finish"] = "t9x2k0ab-9-7qd1", "{'reason': 'stopped'}"
    await Typewriter().run("run:1234", log.publish)
    assert "finish" not in log.kinds, "it is not written once more"


async def test_only_so_many_run_at_once_and_none_for_ever() -> None:
    slow, writer = Log(slow=SECONDS / 2), Typewriter()
    runs = [asyncio.create_task(writer.run("run:1234", slow.publish)) for _ in range(MOST)]
    await asyncio.sleep(1)
    with pytest.raises(Busy):
        await writer.run("run:1234", slow.publish)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*runs)
    assert asyncio.get_running_loop().time() - began <= SECONDS
    await writer.run("run:1234", Log().publish)
