"""Between two requests the process is stopped; what happens to its connections meanwhile it learns late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.alarm import auntil
from tests.testkit.lambda_runtime import Front

from .serving import reading, serving, through_a_proxy

if TYPE_CHECKING:
    from tests.testkit.lambda_runtime import LambdaFront

pytestmark = pytest.mark.real(seconds=10)


async def use(front: LambdaFront, http: httpx.AsyncClient, number: int) -> None:
    """A message without a localId, which nobody may send twice; a turn that reads it, and a page."""
    made = await http.post("/channels/c/messages", json={"data": number})
    assert made.status_code == 201, made.text
    turn = await http.get("/channels/c/stream?history=1")
    assert f"id: {made.json()['id']}" in turn.text, turn.text
    page = await http.get("/channels/c/messages?limit=1")
    assert [one["data"] for one in page.json()["messages"]] == [number]
    assert front.stats.environments[0].stopped == len(front.stats.invocations)


@pytest.mark.parametrize("how", ["cut_all", "reset_all"])
async def test_connections_that_ended_while_it_was_frozen(store: dict[str, str], how: str) -> None:
    async with (
        through_a_proxy(store) as (env, proxy),
        serving(env, Front.FUNCTION_URL) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
    ):
        for number in range(3):
            await use(front, http, number)
            assert getattr(proxy, how)() > 0, "there was no connection to end"
            await auntil(lambda: proxy.open == 0, "they have ended")
        await use(front, http, 3)
        assert len(front.stats.environments) == 1


async def test_a_reader_misses_nothing_over_cuts_between_and_within_its_turns(store: dict[str, str]) -> None:
    async with (
        through_a_proxy(store) as (env, proxy),
        serving(env, Front.FUNCTION_URL) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
        reading("eventsource", f"{front.url}/channels/c/stream") as reader,
    ):
        sent: list[str] = []
        for number in range(12):
            made = await http.post("/channels/c/messages", json={"data": number, "localId": str(number)})
            assert made.status_code == 201, made.text
            sent.append(made.json()["id"])
            proxy.cut_all()
            await reader.until(lambda one: len(one.messages) == len(sent), f"message {number}")
        assert [one.id for one in reader.messages] == sent and not reader.of("gap")
        assert proxy.hits["cut"] >= 12
