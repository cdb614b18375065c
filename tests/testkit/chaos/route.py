"""What befalls the way to the store: TCP between it and the services, or the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testkit.chaos.stage import Scene
from tests.testkit.fault_proxy import Blackhole, DropReply, Fault, Freeze, Jitter, MidFrame, Refuse
from tests.testkit.injection import Injection, lasts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testkit.faults import Connections


async def cut(scene: Scene) -> int:
    """A FIN to all that are open."""
    return scene.pair.route.cut_all()


async def reset(scene: Scene) -> int:
    """A RST to all that are open."""
    return scene.pair.route.reset_all()


async def refuse(scene: Scene) -> int:
    """All are cut, and for a while nobody gets through."""
    armed = scene.pair.route.arm(Refuse())
    try:
        scene.pair.route.cut_all()
        await armed.fired(2, alarm=30)
        await lasts(scene.dice, 0.1, 1.5)
    finally:
        armed.disarm()
    return armed.hits


def while_armed(
    fault: Callable[[Scene], Fault], low: float, high: float, aim: Callable[[], Connections] = lambda: None
) -> Injection:
    """Armed for a while, and at least until it has hit. `aim` is asked once each time: at which connections."""

    async def strike(scene: Scene) -> int:
        armed = scene.pair.route.arm(fault(scene), connections=aim())
        try:
            await armed.fired(alarm=30)
            await lasts(scene.dice, low, high)
        finally:
            armed.disarm()
        return armed.hits

    return Injection(_NAMES[fault], strike)


def every_other() -> Connections:
    """Of those that are used from now on, the first, the third, and so on. Whatever their numbers are, one falls."""
    order: dict[int, int] = {}
    return lambda index: order.setdefault(index, len(order)) % 2 == 0


def a_few(fault: Callable[[Scene], Fault]) -> Injection:
    """Armed until it has hit a few times."""

    async def strike(scene: Scene) -> int:
        times = scene.dice.randint(3, 6)
        armed = scene.pair.route.arm(fault(scene), times=times)
        try:
            await armed.fired(times, alarm=30)
        finally:
            armed.disarm()
        return armed.hits

    return Injection(_NAMES[fault], strike)


def _jitter(_: Scene) -> Fault:
    return Jitter(0.005, 0.05)


def _freeze(_: Scene) -> Fault:
    return Freeze()


def _hole(_: Scene) -> Fault:
    return Blackhole()


def _lost_reply(scene: Scene) -> Fault:
    return DropReply(b"EVALSHA", reset=scene.dice.random() < 0.5)


def _torn(scene: Scene) -> Fault:
    return MidFrame(after=scene.dice.randint(1, 40), reset=scene.dice.random() < 0.5)


_NAMES = {
    _jitter: "the route is slow",
    _freeze: "the route is down and heals",
    _hole: "connections go silent for ever",
    _lost_reply: "replies lost",
    _torn: "replies torn",
}

ROUTE = [
    Injection("the route cut", cut),
    Injection("the route reset", reset),
    Injection("the route refuses", refuse),
    while_armed(_jitter, 0.3, 1.5),
    while_armed(_freeze, 0.3, 4),
    while_armed(_hole, 0.1, 1, aim=every_other),
    a_few(_lost_reply),
    a_few(_torn),
]
