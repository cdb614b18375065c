"""The recipes of docs/tokens.md do what they say: they are taken from the page and run."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest

from tests.front.forge import SECRET
from tests.front.house import House, bearer, house
from tests.front.recipe import block
from tests.support.need import need
from tests.support.node import FOLDER, node_binary
from tests.support.valkey import Valkey


@pytest.fixture
async def found(valkey: Valkey) -> AsyncIterator[House]:
    async with house(valkey.url, jwt_secret=SECRET) as found:
        yield found


async def holds(found: House, token: str) -> None:
    """The rights that the page gives to somebody who is signed in as u1."""
    told = {}
    for method in ("POST", "GET"):
        for channel in ("general", "user.u1", "user.u2"):
            body = {"data": 1} if method == "POST" else None
            reply = await found.client.request(
                method, f"/channels/{channel}/messages", json=body, headers=bearer(token)
            )
            told[method, channel] = reply.status_code
            if reply.status_code == 201:
                assert reply.json()["user"] == "u1"
    assert told == {
        ("POST", "general"): 201,
        ("POST", "user.u1"): 403,
        ("POST", "user.u2"): 403,
        ("GET", "general"): 200,
        ("GET", "user.u1"): 200,
        ("GET", "user.u2"): 403,
    }


async def test_a_token_made_in_python(found: House) -> None:
    names: dict[str, Any] = {}
    exec(block("python", "def make_token"), names)
    await holds(found, names["make_token"]("u1", SECRET))


async def test_a_server_publishes_with_a_token_of_its_own(found: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's client is a blocking one; here it hands its request over, to be sent to the app."""
    asked: dict[str, Any] = {}

    class Later(Exception):
        pass

    def post(url: str, **options: Any) -> None:
        asked.update(options, url=url)
        raise Later

    monkeypatch.setattr(httpx, "post", post)
    names: dict[str, Any] = {}
    exec(block("python", "def publish"), names)
    with pytest.raises(Later):
        names["publish"]("http://localhost", SECRET, "orders", {"total": 7}, "order 1")
    for status in (201, 200):
        reply = await found.client.post(**asked)
        assert reply.status_code == status
        assert (reply.json()["user"], reply.json()["localId"]) == ("orders-service", "order 1")
    asked["url"] = "http://localhost/channels/general/messages"
    assert (await found.client.post(**asked)).status_code == 403


@pytest.mark.real(seconds=2)
async def test_a_token_made_in_next(found: House) -> None:
    """The route handler as it stands, with a session instead of the application's."""
    node = node_binary()
    need((FOLDER / "node_modules" / "jose").is_dir(), "npm package jose: run npm install in tests/node")
    code = block("js", "SignJWT").replace('import { auth } from "@/auth";\n', "")
    assert "@/auth" not in code
    for session in ({"user": {"id": "u1"}}, None):
        script = f"const auth = async () => ({json.dumps(session)});\n{code}\n"
        script += "const reply = await GET(); console.log(JSON.stringify([reply.status, await reply.json()]));"
        argv = [node, "--input-type=module", "--eval", script]
        ran = await anyio.run_process(argv, cwd=FOLDER, env={"GAPLESS_JWT_SECRET": SECRET})
        status, told = json.loads(ran.stdout)
        if session is None:
            assert status == 401
        else:
            assert status == 200
            await holds(found, told["token"])


def test_the_claims_on_the_page_are_claims() -> None:
    claims = json.loads(block("json", '"sub"'))
    assert claims.keys() == {"sub", "exp", "gapless"}
    assert claims["exp"] < time.time() + 10**9
