"""Runs the checks: those first that others need, those side by side that take time, and clears up afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gapless.cli.doctor.checks import access, clock, cors, idle, lifetime, reach, resume, store, streaming
from gapless.cli.doctor.finding import Finding, fail, failing, note, ok, skip
from gapless.cli.doctor.site import Reply, Site

MOST = 58.0
"""Seconds for everything together."""
CLEANUP = "cleanup"
NEEDS_ACCESS = (streaming.NAME, lifetime.NAME, resume.NAME)

Tell = Callable[[Finding], None]


class Examination:
    """`tell` is given each finding as soon as it is known; `findings` holds them all."""

    def __init__(self, site: Site, tell: Tell) -> None:
        self.findings: list[Finding] = []
        self._site = site
        self._tell = tell

    async def run(self) -> list[Finding]:
        """Everything, for a minute at most."""
        try:
            async with asyncio.timeout(MOST):
                return await self._run()
        except TimeoutError:
            said = f"Some answers took so long that not all was tried within {MOST:g} s."
            self._add([fail("time", said, "See what is slow: the service, its store, or the way to them.")])
        return self.findings

    async def _run(self) -> list[Finding]:
        site = self._site
        reached = await reach.probe(site)
        if failing(self._add(reach.judge(reached))):
            return self.findings
        ready, entered, asked = await asyncio.gather(store.probe(site), access.probe(site), cors.probe(site))
        needed = self._add([*store.judge(ready), *access.judge(entered)])
        self._add(cors.judge(asked))
        if failing(needed):
            needs = "Not tried: it needs a store that is ready, and a channel that may be written to and read"
            self._add(skip(name, needs) for name in NEEDS_ACCESS)
            self._add(clock.judge([reached.health]))
        else:
            await self._read(entered.write, ready)
        if entered.write.status in (200, 201):
            self._add([await self._cleared()])
        return self.findings

    async def _read(self, first: Reply, ready: Reply) -> None:
        """What streams do. `first`: the reply to the first post, after which the others come."""
        streamed = await streaming.probe(self._site)
        self._add(streaming.judge(streamed))
        turns = streamed.turns or streamed.held
        watched, (resumed, idled) = await asyncio.gather(
            lifetime.probe(self._site, turns=turns), self._published(str(first.member("id")), turns=turns)
        )
        self._add(lifetime.judge_turn(watched) if turns else lifetime.judge(watched))
        self._add(resume.judge(resumed))
        self._add(idle.judge(ready, idled, turns=streamed.turns))
        self._add(clock.judge([first, *resumed.posts.values()]))

    async def _published(self, cursor: str, *, turns: bool) -> tuple[resume.Seen, idle.Seen | None]:
        """The messages, and then what the store is asked for while a stream is watched and nothing is published."""
        until = asyncio.get_running_loop().time() + self._site.watch
        resumed = await resume.probe(self._site, cursor, buffered=turns)
        return resumed, None if turns else await idle.probe(self._site, until)

    async def _cleared(self) -> Finding:
        """The channel is deleted where the token may; else it expires."""
        reply = await self._site.ask("DELETE", f"/channels/{self._site.channel}")
        if reply.status == 204:
            return ok(CLEANUP, "the doctor's channel is deleted")
        kept = f"{self._site.channel} holds some 50 small messages until it expires (GAPLESS_RETENTION)"
        return note(CLEANUP, f"{kept}; a token of an administrator deletes it")

    def _add(self, findings: Iterable[Finding]) -> list[Finding]:
        new = [*findings]
        self.findings += new
        for finding in new:
            self._tell(finding)
        return new
