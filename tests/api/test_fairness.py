"""A few requests of each address begin in a turn of the event loop; a large body waits for another one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from gapless.api.dependencies import LARGE, body
from gapless.api.fairness import ALONE, AT_ONCE, TurnByTurn


class App:
    """Notes whose requests began."""

    def __init__(self) -> None:
        self.began: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.began.append(scope["client"][0])


async def nothing(*_: Any) -> Any:
    raise AssertionError("nobody asked for anything")


def scope_of(client: str, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return {"type": "http", "method": "GET", "path": "/", "client": (client, 1), "headers": headers}


async def begun(proxies: int, *scopes: dict[str, Any]) -> list[str]:
    """Whose requests began, one after the other. Two others have asked a moment ago."""
    app = App()
    fair = TurnByTurn(app, "server", proxies)
    for other in ("198.51.100.1", "198.51.100.2"):
        await fair(scope_of(other), nothing, nothing)
    app.began.clear()
    await asyncio.gather(*(fair(scope, nothing, nothing) for scope in scopes))
    return app.began


async def test_where_nobody_else_has_asked_more_of_an_address_begin_in_a_turn() -> None:
    app = App()
    fair = TurnByTurn(app, "server", 0)
    asking = asyncio.gather(*(fair(scope_of("192.0.2.1"), nothing, nothing) for _ in range(2 * ALONE)))
    await asyncio.sleep(0)
    assert len(app.began) == ALONE
    await asking


async def test_one_address_with_many_connections_delays_another_by_a_few_requests() -> None:
    many, one = [scope_of("192.0.2.1")] * 20, scope_of("192.0.2.2")
    assert await begun(0, *many, one) == [*["192.0.2.1"] * AT_ONCE, "192.0.2.2", *["192.0.2.1"] * (20 - AT_ONCE)]


async def test_behind_proxies_of_ones_own_clients_are_told_apart() -> None:
    many, one = [scope_of("10.0.0.1", "192.0.2.1")] * 20, scope_of("10.0.0.2", "192.0.2.2")
    assert (await begun(1, *many, one)).index("10.0.0.2") == AT_ONCE
    alike = scope_of("10.0.0.2", "192.0.2.1")
    assert (await begun(1, *many, alike)).index("10.0.0.2") == 20


async def test_what_is_no_request_does_not_wait() -> None:
    app = App()
    await TurnByTurn(app, "server", 0)({"type": "lifespan", "client": ("", 0)}, nothing, nothing)
    assert app.began == [""]


@pytest.mark.parametrize(("size", "turns"), [(LARGE, 0), (LARGE + 1, 1)])
async def test_a_large_body_waits_for_another_turn(size: int, turns: int) -> None:
    waited = 0

    async def turn() -> None:
        nonlocal waited
        waited += 1

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * size}

    service = SimpleNamespace(settings=SimpleNamespace(max_body=2 * LARGE))
    app = SimpleNamespace(wiring=SimpleNamespace(service=service))
    scope = {**scope_of("192.0.2.1"), "app": app, "gapless.turn": turn}
    scope["headers"] = [(b"content-type", b"application/json")]
    assert len(await body(Request(scope, receive))) == size
    assert waited == turns


async def test_of_large_bodies_one_is_read_in_a_turn() -> None:
    ticks = 0
    read: list[int] = []

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async def reading(scope: Any, receive: Any, send: Any) -> None:
        await scope["gapless.turn"]()
        read.append(ticks)

    ticking = asyncio.create_task(tick())
    fair = TurnByTurn(reading, "server", 0)
    await asyncio.gather(*(fair(scope_of("192.0.2.1"), nothing, nothing) for _ in range(AT_ONCE)))
    ticking.cancel()
    assert len(set(read)) == len(read) == AT_ONCE
