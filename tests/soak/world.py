"""One store's soak: its processes, its crowd, the hands that strike, the quiet at the end, and the verdict."""

from __future__ import annotations

import asyncio
import sys
from random import Random
from time import monotonic, strftime
from typing import TYPE_CHECKING, Any

import httpx
from anyio import to_thread

from tests.soak.counted import lives
from tests.soak.crowd import Crowd
from tests.soak.pages import Pages
from tests.soak.processes import CAP, SETTINGS, services
from tests.soak.quiet import Quiet
from tests.soak.traces import traces
from tests.testkit.alarm import Alarm, auntil
from tests.testkit.chaos.rest import REST
from tests.testkit.chaos.route import ROUTE
from tests.testkit.chaos.services import SERVICES
from tests.testkit.chaos.stage import Kind, Scene, open_stage
from tests.testkit.chaos.store import STORE
from tests.testkit.checker import Minimum, Verdict, check
from tests.testkit.fault_injector import FaultInjector
from tests.testkit.injection import Injection
from tests.testkit.load_publisher import Publisher
from tests.testkit.process import Process
from tests.testkit.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testkit.asides import Marks
    from tests.testkit.pace import Pace

FLOOD = 6
"""Batches of a hundred, more than a log keeps: whoever is away has missed some."""
PATIENCE = 3
"""Times the given seconds, and two minutes, in which every fault must have struck."""
CAUGHT_UP = 90.0
"""Seconds after the last fault in which everybody must be at the head."""


class World:
    """`play` it, then ask for the `verdict` and the `report`."""

    def __init__(
        self, kind: Kind, seconds: float, seed: int, pace: Pace, *, readers: int, publishers: int, pages: int
    ) -> None:
        self.kind, self.seconds, self.seed, self.pace = kind, seconds, seed, pace
        self.late: list[str] = []
        """Who was not at the head in time."""
        self.unsettled: list[str] = []
        """Who was not told in time what holds around the messages."""
        self.pages_wrong: list[str] = []
        """What pages in a browser show in the end, and should not."""
        self._sizes = {"readers": readers, "publishers": publishers}
        self._pages, self._count = Pages(), pages
        self._channels = [f"{kind}-{n}" for n in range(max(4, publishers // 2))]
        self._played = 0.0

    async def play(self, folder: Path) -> None:
        """All of it; raises what broke in the soak itself."""
        async with (
            open_stage(folder, self.kind, services, seed=self.seed, **SETTINGS) as stage,
            httpx.AsyncClient(transport=Wire(), timeout=20) as client,
        ):
            self.scene = Scene(stage, self._channels, dice=Random(f"{self.kind} {self.seed}"))
            self.scene.history.lossy = True
            self.crowd = Crowd(self.scene, client, **self._sizes, seed=self.seed)
            self.fast = Publisher(self.scene.history, client, stage.urls[2], self._channels[0], "a minute ahead")
            self.crowd.publishers.append(self.fast)
            self.closing = [Publisher(self.scene.history, client, stage.urls, name, "last") for name in self._channels]
            urls = [service.url for service in stage.services[:-1]]  # those that stream
            async with self.crowd.reading(), self._pages.reading(urls, self._channels, self._count):
                async with self.crowd.passing():
                    await self._strike(client)
                    await self.scene.stage.services[0].akill()  # so that nobody else can say that they have gone
                await self._heal()
                await self._settle()
                await self._rest(client)
                wrote = [*self.crowd.publishers, *self.closing]
                self.lives = await lives(self.scene.stage.services, wrote, self.crowd.readers, client)
            self._look_at_logs()
            self.quiet = Quiet(stage, {*self.scene.history.names, *self.crowd.users.values()})
            await self.quiet.play()
            self._tell("{numbers} numbers of {processes} processes compared".format(**self.quiet.report))

    # --- while it goes on

    async def _strike(self, client: httpx.AsyncClient) -> None:
        """Everybody posts and reads while the hands strike, each for itself."""
        began = monotonic()
        over = lambda: monotonic() - began >= self.seconds  # noqa: E731
        patience = lambda: monotonic() - began < PATIENCE * self.seconds + 120  # noqa: E731
        self.injectors = [self._hand(n, injections, (0.1, 1.0)) for n, injections in enumerate(self._blows(client))]
        struck = False
        async with asyncio.TaskGroup() as group:
            group.create_task(self.crowd.publish(self.pace, lambda: struck))
            group.create_task(self.crowd.gossip(self.pace, lambda: struck))
            await asyncio.gather(*(injector.play(over, patience) for injector in self.injectors))
            struck = True
        self._played = monotonic() - began

    def _hand(self, n: int, injections: list[Injection], pause: tuple[float, float]) -> FaultInjector:
        scene = Scene(self.scene.stage, self._channels, self.scene.history, Random(f"blows {n} {self.seed}"))
        return FaultInjector(injections, scene, Random(f"hand {n} {self.seed}"), pause, self._tell)

    def _tell(self, what: str) -> None:
        """For whoever looks on, and for whoever has to find out."""
        print(f"{strftime('%H:%M:%S')} {self.kind}: {what}", file=sys.stderr, flush=True)

    def _blows(self, client: httpx.AsyncClient) -> list[list[Injection]]:
        """What each hand plays: no two of one list at the same time."""
        flood = Injection("a log flooded past its cap", lambda scene: self._flood(scene, client))
        cut = Injection("all streams cut at once by their clients", self._cut)
        injections = [[*STORE, flood], [*SERVICES, cut], ROUTE]
        return [*injections, REST] if self.kind == "upstash" else injections

    async def _flood(self, scene: Scene, client: httpx.AsyncClient) -> int:
        """Returns how many more were posted than a log keeps."""
        number = sum(publisher.user.startswith("flood") for publisher in self.closing)
        ann = Publisher(scene.history, client, scene.stage.urls, scene.dice.choice(scene.channels), f"flood {number}")
        self.closing.append(ann)
        for batch in range(FLOOD):
            await ann.publish(*(f"{batch} {n}" for n in range(100)))
        return len(ann.ids) - CAP

    async def _cut(self, _: Scene) -> int:
        return self.crowd.cut()

    # --- at the end

    async def _heal(self) -> None:
        """Whatever a blow that failed has left behind."""
        stage = self.scene.stage
        stage.pair.route.disarm_all()
        if stage.up is not None:
            await to_thread.run_sync(stage.up.disarm)
        for service in stage.services:
            service.resume()
            if not service.alive:
                await service.astart()

    async def _settle(self) -> None:
        """One last message on each channel; then everybody must come to be at the head."""
        heads = dict(
            zip(
                self._channels,
                [(await last.publish("the last"))[-1] for last in self.closing[: len(self._channels)]],
                strict=True,
            )
        )
        try:
            await auntil(lambda: not self.crowd.late(heads), "all at the head", alarm=CAUGHT_UP)
        except Alarm:
            self.late = self.crowd.late(heads)
        self.late += await self._pages.settle(heads, CAUGHT_UP)
        logs = {name: [entry.id for entry in self.scene.pair.log(name).entries()] for name in self._channels}
        self.pages_wrong = await self._pages.findings(logs)

    async def _rest(self, client: httpx.AsyncClient) -> None:
        """What holds around the messages must come to be known to all who asked for it."""
        marks = {name: await self._marks(client, name) for name in self._channels}
        try:
            await auntil(lambda: not self.crowd.unsettled(marks), "all told what holds", alarm=CAUGHT_UP, look=0.2)
        except Alarm:
            self.unsettled = sorted(set(self.crowd.unsettled(marks)))
        self.scene.history.rest(marks, self.crowd.present())

    async def _marks(self, client: httpx.AsyncClient, channel: str) -> dict[str, Marks]:
        """The receipts of a channel, as the store has them."""
        reply = await client.get(f"{self.scene.stage.urls[0]}/channels/{channel}/receipts")
        told = reply.raise_for_status().json()["receipts"]
        return {user: (one["delivered"], one["read"]) for user, one in told.items()}

    def _look_at_logs(self) -> None:
        for name in self._channels:
            self.scene.pair.log(name).tell(self.scene.history)

    # --- what came of it

    @property
    def hits(self) -> dict[str, int]:
        """By fault; the clock's are the messages that were posted where it is ahead."""
        found = {
            name: injector.hits[name]
            for injector in self.injectors
            for name in (injection.name for injection in injector.injections)
        }
        return {**found, "a clock a minute ahead": len(self.fast.ids)}

    def verdict(self) -> Verdict:
        """The checker's."""
        readers = len(self.crowd.readers)
        least = Minimum(
            messages=10 * readers,
            published=20,
            readers=readers * 9 // 10,  # one that is turned away for long is first served after the last message
            reconnects=readers // 2,
            cuts=readers // 4,
            signals=1,  # while Upstash refuses subscriptions there are none
            receipts=readers,
            presence=readers,
        )
        return check(self.scene.history, least)

    def report(self, verdict: Verdict) -> dict[str, Any]:
        """JSON-able. `ok`: nothing was found, everybody came to the head, and every fault has hit."""
        miscounted = [sentence for life in self.lives for sentence in life.wrong()] + self.quiet.wrong
        never = sorted(name for name, hits in self.hits.items() if not hits)
        own = {f"service {service.port}" for service in self.scene.stage.services}
        defects = [line for process in Process.started if process.name in own for line in traces(process)]
        return {
            "ok": verdict.ok
            and not (never or self.late or self.unsettled or defects or miscounted)
            and not (self.crowd.stopped or self.pages_wrong),
            "store": self.kind,
            "seconds": round(self._played, 1),
            "processes": len(self.scene.stage.services),
            "publishers": len(self.crowd.publishers),
            "channels": len(self._channels),
            "reads": dict(self.crowd.kinds),
            "answers": dict(sorted(self.crowd.answers.items())),
            "answers around": dict(sorted(self.crowd.around.items())),
            **verdict.counts,
            "hits": self.hits,
            "never hit": never,
            "not at the head": self.late,
            "not told around": self.unsettled,
            "stopped": self.crowd.stopped,
            "pages": self._count,
            "wrong on pages": self.pages_wrong,
            "counted": [str(life) for life in self.lives],
            "counted to the last": self.quiet.report,
            "miscounted": miscounted,
            "defects": defects[:100],
            "too little": verdict.too_little,
            "stories": [verdict.story(finding) for finding in verdict.findings[:10]],
        }
