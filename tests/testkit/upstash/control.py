"""`/-/…`: the emulator's own controls, without a token, for tests in other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from tests.testkit.upstash.counts import total

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.testkit.upstash.emulator import UpstashEmulator


def control_app(emulator: UpstashEmulator) -> Router:
    """Routes over one emulator; each answers JSON. See `EmulatorProcess` for their use."""
    routes = {
        ("counts", "GET"): _counts,
        ("counts", "DELETE"): _reset_counts,
        ("faults", "GET"): _faults,
        ("faults", "POST"): _arm,
        ("faults", "DELETE"): _disarm,
        ("upstreams", "GET"): _upstreams,
        ("upstreams", "POST"): _disturb,
        ("replica", "GET"): _replica,
        ("release", "POST"): _release,
        ("settings", "POST"): _set,
    }
    return Router([_route(emulator, path, method, act) for (path, method), act in routes.items()])


def _route(emulator: UpstashEmulator, path: str, method: str, act: Any) -> Route:
    async def endpoint(request: Request) -> JSONResponse:
        wanted = await request.json() if method == "POST" and await request.body() else {}
        try:
            return JSONResponse(await act(emulator, wanted | dict(request.query_params)))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            return JSONResponse({"error": repr(error)}, 400)

    return Route(f"/-/{path}", endpoint, methods=[method])


async def _counts(emulator: UpstashEmulator, _: dict[str, Any]) -> dict[str, Any]:
    return {"counts": emulator.counts, "total": total(emulator.counts), "sent": emulator.sent, "asked": emulator.asked}


async def _reset_counts(emulator: UpstashEmulator, _: dict[str, Any]) -> dict[str, Any]:
    emulator.reset_counts()
    return {}


async def _faults(emulator: UpstashEmulator, _: dict[str, Any]) -> dict[str, Any]:
    return {"hits": emulator.faults.hits, "missed": emulator.faults.missed()}


async def _arm(emulator: UpstashEmulator, wanted: dict[str, Any]) -> dict[str, Any]:
    emulator.faults.arm(**wanted)
    return {}


async def _disarm(emulator: UpstashEmulator, wanted: dict[str, Any]) -> dict[str, Any]:
    emulator.faults.disarm(wanted.get("kind"))
    return {}


async def _upstreams(emulator: UpstashEmulator, _: dict[str, Any]) -> dict[str, Any]:
    return {"open": [upstream.path for upstream in emulator.upstreams]}


async def _disturb(emulator: UpstashEmulator, wanted: dict[str, Any]) -> dict[str, Any]:
    act = {"cut": emulator.upstreams.cut, "freeze": emulator.upstreams.freeze}[wanted.pop("act")]
    return {"count": act(**wanted)}


async def _replica(emulator: UpstashEmulator, _: dict[str, Any]) -> dict[str, Any]:
    return {"caught_up": await emulator.caught_up()}


async def _release(emulator: UpstashEmulator, _: dict[str, Any]) -> dict[str, Any]:
    return {"released": await emulator.release()}


async def _set(emulator: UpstashEmulator, wanted: dict[str, Any]) -> dict[str, Any]:
    emulator.configure(**wanted)
    return {}
