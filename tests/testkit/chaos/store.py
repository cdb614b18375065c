"""What befalls the store."""

from __future__ import annotations

from anyio import to_thread

from tests.testkit.alarm import auntil
from tests.testkit.chaos.stage import Scene
from tests.testkit.injection import Injection, lasts

RESET = frozenset({"reset"})


async def restart(scene: Scene) -> int:
    """SIGKILL, gone for a while, and back with all that it has on its disk."""
    store = scene.pair.primary
    await to_thread.run_sync(store.kill)
    await lasts(scene.dice, 0.3, 2)
    await to_thread.run_sync(store.start)
    return 1


async def freeze(scene: Scene) -> int:
    """SIGSTOP: connections stay open, and nothing is answered."""
    store = scene.pair.primary
    store.pause()
    try:
        await lasts(scene.dice, 0.5, 5)
    finally:
        store.resume()
    return 1


async def wipe(scene: Scene) -> int:
    """Everything is deleted, within its retention."""
    return _gone(scene, scene.pair.take(scene.channels, "FLUSHALL", "SYNC"))


async def fill(scene: Scene) -> int:
    """No memory is left, and nothing may be evicted: writes are refused, reads are not."""
    pair = scene.pair
    before = pair.count("errorstats", "errorstat_OOM")
    pair.primary.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        await _counted(scene, "errorstat_OOM", before + 5)
        await lasts(scene.dice, 0.1, 1)
    finally:
        pair.primary.cli("CONFIG", "SET", "maxmemory", "0")
    return pair.count("errorstats", "errorstat_OOM") - before


async def evict(scene: Scene) -> int:
    """The server makes room as it was told to: by throwing logs away."""
    pair = scene.pair
    pair.primary.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    before = pair.count("stats", "evicted_keys")
    try:
        # No time limit for evicting (see `pair.py`): what was written before this step is gone after it, nothing else.
        gone = _gone(scene, pair.take(scene.channels, "CONFIG", "SET", "maxmemory", "1"))
        await auntil(lambda: pair.primary.cli("DBSIZE") == 0, "eviction")
    finally:
        pair.primary.cli("CONFIG", "SET", "maxmemory", "0")
        pair.primary.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    return pair.count("stats", "evicted_keys") - before if gone else 0


async def forget_scripts(scene: Scene) -> int:
    """SCRIPT FLUSH, again and again."""
    pair = scene.pair
    before = pair.count("errorstats", "errorstat_NOSCRIPT")

    def forgotten() -> int:
        # At every look: whoever was refused loads the script anew, and that may come after a flush that is meant to be
        # the next one.
        pair.primary.cli("SCRIPT", "FLUSH", "SYNC")
        return pair.count("errorstats", "errorstat_NOSCRIPT") - before

    await auntil(lambda: forgotten() >= 5, "scripts to be missed five times", alarm=30)
    return forgotten()


async def replace(scene: Scene) -> int:
    """A log is overwritten by something that is no list, which is then taken away."""
    pair, channel = scene.pair, scene.dice.choice(scene.channels)
    before = pair.count("errorstats", "errorstat_WRONGTYPE")
    key = pair.log(channel).key
    _gone(scene, pair.take([channel], "SET", key, "something else"))  # at once: whatever is waited for may not come
    try:
        await _counted(scene, "errorstat_WRONGTYPE", before + 3)
    finally:
        pair.primary.cli("DEL", key)
    return pair.count("errorstats", "errorstat_WRONGTYPE") - before


async def intrude(scene: Scene) -> int:
    """Somebody appends to a log what is no entry, and takes it away again."""
    pair, channel = scene.pair, scene.dice.choice(scene.channels)
    before = pair.count("errorstats", "errorstat_GAPLESS")
    key = pair.log(channel).key
    pair.primary.cli("RPUSH", key, "something else")
    try:
        await _counted(scene, "errorstat_GAPLESS", before + 3)
    finally:
        pair.primary.cli("LREM", key, -1, "something else")
    return pair.count("errorstats", "errorstat_GAPLESS") - before


async def fail_over(scene: Scene) -> int:
    """A replica takes over that lacks the last writes, which were answered with 201. Returns how many were lost."""
    lost = await scene.pair.fail_over(scene.channels, lambda: _appended(scene, 5))
    for channel, ids in lost.items():
        scene.history.rewritten(channel, ids)
    return sum(map(len, lost.values()))


async def _appended(scene: Scene, more: int) -> None:
    """Wait until so many more posts were answered."""

    def answered() -> int:
        return sum(one.id is not None for one in scene.history.published)

    wanted = answered() + more
    await auntil(lambda: answered() >= wanted, "posts to be answered", alarm=30)


async def _counted(scene: Scene, field: str, wanted: int) -> None:
    """Wait until the server has refused so often."""
    await auntil(lambda: scene.pair.count("errorstats", field) >= wanted, f"{wanted} of {field}", alarm=30)


def _gone(scene: Scene, logs: dict[str, list[str]]) -> int:
    for channel, ids in logs.items():
        scene.history.wiped(channel, ids)
    return len(logs)


STORE = [
    Injection("the store killed and back", restart),
    Injection("the store frozen and thawed", freeze),
    Injection("the store wiped", wipe, RESET),
    Injection("the store full", fill),
    Injection("logs evicted", evict, RESET),
    Injection("scripts forgotten", forget_scripts),
    Injection("a log replaced by something else", replace, RESET),
    Injection("something else in a log", intrude),
    Injection("a failover that loses writes", fail_over, RESET),
]
