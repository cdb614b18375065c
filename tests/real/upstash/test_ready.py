"""What is said at the start and in /readyz: how the store works, or in plain words what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from tests.testkit.alarm import auntil
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.port import free_port
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=6), pytest.mark.timeout(180)]

CHANNEL = "general"


async def ready(client: httpx.AsyncClient, service: Service) -> httpx.Response:
    return await client.get(f"{service.url}/readyz")


async def test_how_it_works_and_what_it_has_fallen_back_to(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with upstash(tmp_path) as place:
        async with Service(place.env()) as service:
            told = (await ready(client, service)).json()
            assert told.pop("latencyMs") > 0
            assert told.pop("commands") > 0
            assert told == {
                "status": "ok",
                "store": "Upstash at 127.0.0.1",
                "scripts": "locked",
                "notices": "subscribe",
            }
            ann = Publisher(History(), client, service.url, CHANNEL)
            async with visit(f"{service.url}/channels/{CHANNEL}/stream", client=client) as reader:
                await reader.next("hello")
                for refusal, scripts in (("refuse_in_locked", "plain"), ("refuse_always", "locked, told after")):
                    place.up.configure(publish_in_scripts=refusal)
                    await ann.publish_many(2)
                    await reader.messages(2)
                    assert (await ready(client, service)).json()["scripts"] == scripts
                place.up.arm("refuse_subscribe")
                place.up.cut()

                async def polls() -> bool:
                    return (await ready(client, service)).json()["notices"] == "poll"

                await auntil(polls, "it says that it polls")
            assert ann.answers.keys() == {"201"}


WRONG = {
    "another token": (
        {"UPSTASH_REDIS_REST_TOKEN": "somebody-elses"},
        ["refused the token", "UPSTASH_REDIS_REST_TOKEN"],
    ),
    "a read-only token": ({"UPSTASH_REDIS_REST_TOKEN": "read-only-token"}, ["read-only token", "standard one"]),
    "nobody there": ({"UPSTASH_REDIS_REST_URL": "http://127.0.0.1:{port}"}, ["can't be reached"]),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_set_up_wrongly(wrong: str, tmp_path: Path, client: httpx.AsyncClient) -> None:
    given, words = WRONG[wrong]
    port = free_port()  # now, and not when this file was read: somebody else may listen there since
    settings = {name: value.format(port=port) for name, value in given.items()}
    with upstash(tmp_path) as place:
        async with Service(place.env() | settings) as service:
            reply = await ready(client, service)
            assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
            posted = await client.post(f"{service.url}/channels/{CHANNEL}/messages", json={"data": 1})
            assert (posted.status_code, posted.json()["outcome"]) == (503, "none")
            async with visit(f"{service.url}/channels/{CHANNEL}/stream", client=client) as reader:
                await to_thread.run_sync(service.process.wait_for_line, f"ERROR gapless: .*{words[0]}")
                if wrong != "a read-only token":  # which reads
                    [end] = await reader.rest(alarm=30)
                    assert (end.event, end.data["reason"], end.id) == ("end", "unavailable", None)
            for word in words:
                assert word in reply.json()["detail"]
            assert place.up.token not in reply.text


async def test_somebody_else_at_the_url(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with upstash(tmp_path) as place:
        place.up.arm("html")
        async with Service(place.env()) as service:
            reply = await ready(client, service)
            assert reply.status_code == 503
            assert "check the URL" in reply.json()["detail"]
            place.up.disarm()

            async def is_ready() -> bool:
                return (await ready(client, service)).status_code == 200

            await auntil(is_ready, "it is ready")


async def test_the_names_that_vercels_own_store_has(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with upstash(tmp_path) as place:
        env = {"KV_REST_API_URL": place.up.url, "KV_REST_API_TOKEN": place.up.token}
        async with Service(env) as service:
            assert (await ready(client, service)).json()["store"] == "Upstash at 127.0.0.1"
            await Publisher(History(), client, service.url, CHANNEL).publish(1)
        assert place.store.cli("LLEN", f"gapless:{{{CHANNEL}}}:log") == 1
