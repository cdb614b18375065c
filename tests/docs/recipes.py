"""Code that applications are to take over: it runs as it stands, against a service in the same loop.

So a recipe that blocks the loop of its caller blocks the service too, and never ends.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import jwt

from gapless.api.factory import create_app
from gapless.config.settings import Settings
from tests.testkit.forge import SECRET
from tests.testkit.lambda_runtime.loopback import listening
from tests.testkit.need import need
from tests.testkit.node import FOLDER, node_binary
from tests.testkit.tab import token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.docs.blocks import Block
    from tests.docs.stranger import Stranger

CHANNELS = ("general", "user.u1", "user.u2")


async def claims(stranger: Stranger, block: Block, argument: str) -> None:
    """Rights as the page explains them below the block. The block's own `exp` is of its day."""
    told = json.loads(block.text)
    assert told.keys() == {"sub", "exp", "gapless"} and abs(told["exp"] - time.time()) < 10**9
    key = jwt.encode({**told, "exp": int(time.time()) + 60}, SECRET, "HS256")
    async with serving(stranger) as http:
        bearer = {"Authorization": f"Bearer {key}"}
        assert await _rights(http, bearer, ("general", "chat.1", "chatter")) == [(201, 200), (201, 200), (403, 200)]
        assert (await http.get("/channels", headers=bearer)).status_code == 403


async def token_in_python(stranger: Stranger, block: Block, argument: str) -> None:
    """Makes a token for the user u1."""
    async with serving(stranger) as http:
        await _is_of_u1(http, _defined(block)["make_token"]("u1", SECRET))


async def token_in_next(stranger: Stranger, block: Block, argument: str) -> None:
    """The route handler as it stands, with a session instead of the application's."""
    node = node_binary()
    need((FOLDER / "node_modules" / "jose").is_dir(), "npm package jose: run npm install in tests/node")
    code = block.text.replace('import { auth } from "@/auth";\n', "")
    assert "@/auth" not in code
    async with serving(stranger) as http:
        for session, status in (({"user": {"id": "u1"}}, 200), (None, 401)):
            script = f"const auth = async () => ({json.dumps(session)});\n{code}\n"
            script += "const reply = await GET(); console.log(JSON.stringify([reply.status, await reply.json()]));"
            argv = [node, "--input-type=module", "--eval", script]
            ran = await anyio.run_process(argv, cwd=FOLDER, env={"GAPLESS_JWT_SECRET": SECRET})
            answered, told = json.loads(ran.stdout)
            assert answered == status
            if status == 200:
                await _is_of_u1(http, told["token"])


async def publishing(stranger: Stranger, block: Block, argument: str) -> None:
    """A server publishes with a token of its own; once, however often it is sent."""
    async with serving(stranger) as http:
        publish = _defined(block)["publish"]
        told = [await publish(http, str(http.base_url), SECRET, "orders", {"total": 7}, "order 1") for _ in range(2)]
        assert told[0]["id"] == told[1]["id"] and told[1]["duplicate"] is True
        assert (told[0]["user"], told[0]["localId"], told[0]["channel"]) == ("orders-service", "order 1", "orders")


async def reading(stranger: Stranger, block: Block, argument: str) -> None:
    """A server reads: over the ends of streams, and through silences longer than its client's usual 5 s."""
    waits: list[float] = []
    given = httpx.AsyncClient.build_request

    def noted(self: httpx.AsyncClient, *words: Any, **options: Any) -> httpx.Request:
        request = given(self, *words, **options)
        if self is not http:
            waits.append(request.extensions["timeout"]["read"])
        return request

    async with serving(stranger, lifetime=0.5, retry_ms=20) as http:
        read = _defined(block)["read"](str(http.base_url), token, "general")
        waiting = asyncio.ensure_future(anext(read))
        httpx.AsyncClient.build_request = noted  # type: ignore[method-assign]
        try:
            seen = []
            for number in range(4):
                await http.get(
                    "/channels/general/stream", headers=_bearer(token())
                )  # another one began and ended meanwhile
                await http.post("/channels/general/messages", json={"data": number}, headers=_bearer(token()))
                seen.append((await waiting)["data"])
                waiting = asyncio.ensure_future(anext(read))
        finally:
            httpx.AsyncClient.build_request = given  # type: ignore[method-assign]
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await read.aclose()
    assert seen == [0, 1, 2, 3]
    heartbeat = Settings.model_fields["heartbeat"].default
    assert waits and min(waits) > 2 * heartbeat


@asynccontextmanager
async def serving(stranger: Stranger, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with keys, in this loop."""
    stranger.store.flush()
    app = create_app(Settings(redis_url=stranger.store.tcp_url, jwt_secret=SECRET, linger=0.0, **settings))
    async with (
        app.router.lifespan_context(app),
        listening(app) as (port,),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http,
    ):
        yield http


async def _is_of_u1(http: httpx.AsyncClient, made: str) -> None:
    """The rights that the page gives to somebody who is signed in as u1."""
    assert await _rights(http, _bearer(made), CHANNELS) == [(201, 200), (403, 200), (403, 403)]
    (message,) = (await http.get("/channels/general/messages?limit=1", headers=_bearer(made))).json()["messages"]
    assert message["user"] == "u1"


async def _rights(http: httpx.AsyncClient, bearer: dict[str, str], channels: tuple[str, ...]) -> list[tuple[int, int]]:
    """For each channel the answers to a post and to a read."""
    told = []
    for channel in channels:
        path = f"/channels/{channel}/messages"
        posted = await http.post(path, json={"data": 1}, headers=bearer)
        told.append((posted.status_code, (await http.get(path, headers=bearer)).status_code))
    return told


def _bearer(made: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {made}"}


def _defined(block: Block) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(block.text, str(block), "exec"), names)
    return names
