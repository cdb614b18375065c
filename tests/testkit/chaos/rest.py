"""What befalls Upstash's own: its requests, and the notices that it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio import to_thread

from tests.testkit.alarm import auntil
from tests.testkit.chaos.stage import Scene
from tests.testkit.injection import Injection

if TYPE_CHECKING:
    from tests.testkit.upstash import EmulatorProcess
    from tests.testkit.upstash.faults import Kind


def a_few(name: str, kind: Kind, *, cut: bool = False, **wanted: Any) -> Injection:
    """Armed until it has hit a few times. `cut`: open upstreams are ended, for it strikes those that are opened."""

    async def strike(scene: Scene) -> int:
        up, times = scene.stage.up, scene.dice.randint(2, 5)
        assert up is not None, "not on Upstash"
        before = await to_thread.run_sync(lambda: up.hits()[kind])
        await to_thread.run_sync(lambda: up.arm(kind, times=times, may_miss=True, **wanted))
        try:
            if cut:
                await to_thread.run_sync(up.cut)
            await auntil(lambda: _hit(up, kind, before + times), f"{kind} to hit {times} times", alarm=30)
        finally:
            await to_thread.run_sync(up.disarm, kind)
        return await to_thread.run_sync(lambda: up.hits()[kind]) - before

    return Injection(name, strike)


async def _hit(up: EmulatorProcess, kind: Kind, wanted: int) -> bool:
    return await to_thread.run_sync(lambda: up.hits()[kind]) >= wanted


async def cut(scene: Scene) -> int:
    """Every upstream ends at once."""
    up, how = await _listened_to(scene), scene.dice.choice(["close", "reset"])
    return await to_thread.run_sync(up.cut, "*", how)


async def silence(scene: Scene) -> int:
    """Every upstream stays open, and says nothing more for ever."""
    up = await _listened_to(scene)
    return await to_thread.run_sync(up.freeze)


async def _listened_to(scene: Scene) -> EmulatorProcess:
    """The emulator, once somebody listens there: after another fault they come back one by one."""
    up = scene.stage.up
    assert up is not None, "not on Upstash"

    async def open_ones() -> list[str]:
        return await to_thread.run_sync(up.upstreams)

    await auntil(open_ones, "an upstream to be open", alarm=30)
    return up


REST = [
    Injection("upstreams cut", cut),
    Injection("upstreams silent for ever", silence),
    a_few("upstreams silent from the start", "freeze_at_open", cut=True),
    a_few("SUBSCRIBE refused", "refuse_subscribe", cut=True),
    a_few("notices lost", "notice_drop"),
    a_few("notices doubled", "notice_duplicate"),
    a_few("notices out of order", "notice_reorder"),
    a_few("notices late", "notice_delay", lo_ms=50, hi_ms=2000),
    a_few("REST replies lost", "drop_reply", match="EVALSHA"),
    a_few("REST requests hang", "hang", match="EVALSHA"),
    a_few("REST requests slow", "delay", lo_ms=50, hi_ms=1000),
    a_few("REST rate limited", "rate_limited"),
    a_few("REST answers 500", "server_error"),
    a_few("REST answers HTML", "html"),
]
