"""The EventSource clients of npm, each in a Node of its own, and what they saw."""

from __future__ import annotations

import json
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from tests.testkit.alarm import Alarm, auntil
from tests.testkit.need import need
from tests.testkit.process import Process
from tests.testkit.seen import OWN_EVENTS, Seen, Sight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

Client = Literal["eventsource", "eventsource-client", "launchdarkly-eventsource"]
CLIENTS: tuple[Client, ...] = get_args(Client)

FOLDER = Path(__file__).parent.parent / "node"


class NodeReader(Sight):
    """One client in its process. What it saw is as of the last `look` (`until`, `finished` and `async for` look)."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process = process
        self.details: list[str] = []
        """What came with each error, in the client's own words."""
        self._read = 0

    def look(self) -> None:
        """Take in what was printed since. Lines that are not ours (a stack trace) are left in `process.log`."""
        lines = self.process.lines(self._read)
        self._read += len(lines)
        for line in lines:
            if line.startswith('{"'):
                self._take(json.loads(line))

    def _take(self, told: dict[str, str]) -> None:
        kind = told["type"]
        if kind == "open":
            self.opens += 1
        elif kind == "error":
            self.errors += 1
            self.details.append(told["detail"])
        elif kind == "closed":
            self.closed = True
        else:
            self.seen.append(Seen(told["id"], told["event"], told["data"]))

    async def until(self, true: Callable[[NodeReader], object], what: str, *, alarm: float = 30.0) -> None:
        """Look until `true(self)`; Alarm naming `what` after `alarm` seconds, or when Node has ended before."""

        def check() -> object:
            ended = self.process.ended
            self.look()
            if not (result := true(self)) and ended:
                raise Alarm(f"{self.process.name} ended before {what}:\n{self.process.tail()}")
            return result

        await auntil(check, f"{self.process.name}: {what}", alarm=alarm)

    async def finished(self, *, alarm: float = 60.0) -> list[Seen]:
        """Wait until it has its `count` (or stopped for ever); all its messages."""
        await self.until(lambda reader: reader.closed, "the client is done", alarm=alarm)
        return self.messages

    async def __aiter__(self) -> AsyncIterator[Seen]:
        """Each event as it comes, own events too, until the client is done."""
        given = 0
        while True:
            await self.until(lambda me: len(me.seen) > given or me.closed, "an event or the end")  # noqa: B023
            if given == len(self.seen):
                return
            yield self.seen[given]
            given += 1


@asynccontextmanager
async def node_reader(
    client: Client,
    url: str,
    *,
    count: int | None = None,
    events: Collection[str] = (),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[NodeReader]:
    """`client` reading `url` in a Node of its own, until `count` messages or the end of the `async with`.

    `events`: further event names to listen for, beyond `message` and the service's own. `headers` go
    with every request; a start from a cursor belongs into the URL (`?after=`), because
    launchdarkly-eventsource never lets go of a Last-Event-ID given as a header.
    """
    options = {
        "events": ["message", *OWN_EVENTS, *events],
        "own": OWN_EVENTS,
        "headers": dict(headers or {}),
        **({} if count is None else {"count": count}),
    }
    argv = [node_binary(), str(FOLDER / "read.mjs"), client, url, json.dumps(options)]
    with Process(f"node {client}", argv) as process:
        yield NodeReader(process)


def node_binary() -> str:
    """Node, with the clients installed beside the scripts."""
    found = shutil.which("node")
    need(found, "Node 18 or newer on PATH")
    missing = [client for client in CLIENTS if not (FOLDER / "node_modules" / client).is_dir()]
    need(not missing, f"npm packages {', '.join(missing)}: run npm install in tests/node")
    assert found is not None
    return found
