"""A primary and a replica that follows it, behind one address that outlives both."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from anyio import to_thread
from redis import Redis

from tests.testkit.alarm import auntil
from tests.testkit.fault_proxy import Blackhole, FaultProxy
from tests.testkit.raw_log import RawLog
from tests.testkit.valkey import Valkey, start_valkey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path


class Pair:
    """`route` is where clients connect: it leads to whoever is `primary`. Both keep what they were told on disk."""

    def __init__(self, folder: Path, *, seed: int = 0) -> None:
        self._folder, self._seed = folder, seed
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.primary, self.replica = [stack.enter_context(_start(self._folder / name)) for name in ("a", "b")]
            self.route = await stack.enter_async_context(FaultProxy(_address(self.primary), seed=self._seed))
            self.link = await stack.enter_async_context(FaultProxy(_address(self.primary)))
            self._follow()
            await self._level()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.route.port}"

    def log(self, channel: str) -> RawLog:
        """The channel's log, where it is written now."""
        return RawLog(self.primary, channel)

    def count(self, section: str, field: str) -> int:
        """A number of the primary's own statistics, 0 where it is not there: `errorstats`, `errorstat_OOM`."""
        return int(_info(self.primary, section).get(field, "0").removeprefix("count="))

    def take(self, channels: Iterable[str], *command: str) -> dict[str, list[str]]:
        """Run a command, and return what the channels' logs held at that very moment: ids, oldest first."""
        names = list(channels)
        with Redis.from_url(self.primary.tcp_url, decode_responses=True) as redis, redis.pipeline() as step:
            for name in names:
                step.lrange(self.log(name).key, 0, -1)
            step.execute_command(*command)
            *logs, _ = step.execute()
        found = {
            name: ["-".join(line.split(" ", 3)[:3]) for line in log] for name, log in zip(names, logs, strict=True)
        }
        return {name: ids for name, ids in found.items() if ids}

    async def fail_over(
        self, channels: Iterable[str], meanwhile: Callable[[], Awaitable[object]]
    ) -> dict[str, list[str]]:
        """Cut the replica off, go on for a while, kill the primary, promote the replica.

        Returns the ids that each channel has lost: what the old primary has on its disk and the new one has not. The
        old one then follows the new one.
        """
        await self._level()
        hole = self.link.arm(Blackhole())
        await meanwhile()
        await hole.fired(alarm=30)
        hole.disarm()
        await to_thread.run_sync(self.primary.kill)
        self.replica.cli("REPLICAOF", "NO", "ONE")
        self.primary, self.replica = self.replica, self.primary
        kept = {name: self._ids(self.primary, name) for name in channels}
        for proxy in (self.route, self.link):
            proxy.redirect(_address(self.primary))
            proxy.reset_all()
        await to_thread.run_sync(self.replica.start)
        had = {name: self._ids(self.replica, name) for name in kept}
        self._follow()
        lost = {name: [id_ for id_ in had[name] if id_ not in set(kept[name])] for name in kept}
        return {name: ids for name, ids in lost.items() if ids}

    def _ids(self, valkey: Valkey, channel: str) -> list[str]:
        return [entry.id for entry in RawLog(valkey, channel).entries()]

    def _follow(self) -> None:
        self.replica.cli("REPLICAOF", "127.0.0.1", self.link.port)

    async def _level(self) -> None:
        """Return when the replica has all that the primary had now, and writes to its disk what comes after."""
        wanted = self.count("replication", "master_repl_offset")

        def level() -> bool:
            told = _info(self.replica, "replication") | _info(self.replica, "persistence")
            linked = told["role"] == "slave" and told["master_link_status"] == "up"
            return linked and int(told["slave_repl_offset"]) >= wanted and all(told[k] == v for k, v in _WRITES.items())

        async def look() -> bool:
            return await to_thread.run_sync(level)

        await auntil(look, "the replica to follow", alarm=30)


_WRITES = {"aof_enabled": "1", "aof_rewrite_in_progress": "0", "aof_rewrite_scheduled": "0"}
"""After a replica was given all data anew, its append-only file begins only once these were written down."""


def _info(valkey: Valkey, section: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in valkey.cli("INFO", section).splitlines() if ":" in line)


def _start(folder: Path) -> Valkey:
    options = {
        "appendonly": "yes",
        "appendfsync": "no",  # what is answered is written, if not to the disk: with `everysec` that may come later
        "maxmemory-eviction-tenacity": "100",  # eviction has no time limit: see `evict`
        "repl-diskless-sync-delay": "0",
    }
    args = [part for name, value in options.items() for part in (f"--{name}", value)]
    return start_valkey(folder, *args, port=None, unixsocket=False)


def _address(valkey: Valkey) -> tuple[str, int]:
    return "127.0.0.1", valkey.port
