"""What befalls a process of the service."""

from __future__ import annotations

from tests.testkit.chaos.stage import Scene
from tests.testkit.injection import Injection, lasts


async def kill(scene: Scene) -> int:
    """SIGKILL in the middle of whatever it does; it comes back cold, on its port."""
    service = scene.dice.choice(scene.stage.services)
    await service.akill()
    await service.astart()
    return 1


async def freeze(scene: Scene) -> int:
    """SIGSTOP: its sockets stay open, and much is written meanwhile. SIGCONT."""
    service = scene.dice.choice(scene.stage.services)
    service.pause()
    try:
        await lasts(scene.dice, 0.5, 4)
    finally:
        service.resume()
    return 1


async def restart(scene: Scene) -> int:
    """SIGTERM, as a platform that deploys anew."""
    service = scene.dice.choice(scene.stage.services)
    await service.aterminate()
    await service.astart()
    return 1


SERVICES = [
    Injection("a service killed", kill),
    Injection("a service frozen and thawed", freeze),
    Injection("a service restarted", restart),
]
