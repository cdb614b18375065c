"""What one answer holds: every front takes it, and every channel has its share."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gapless.platforms.policy import LARGEST_BUFFERED
from tests.testkit.lambda_runtime import Front

from .serving import publish, serving
from .turns import take

pytestmark = pytest.mark.real(seconds=20)

DEFAULT = 131_072
FRAME = len('{"data":""}')


def largest(most: int, number: int) -> str:
    """Data that fill a request of `most` bytes, with what grows most in Lambda's JSON: a letter of two bytes."""
    own = f"{number:04}"
    return own + "é" * ((most - FRAME - len(own)) // 2)


@pytest.mark.parametrize(
    ("kind", "most", "count"),
    [
        pytest.param(Front.ALB_MULTI_VALUE, DEFAULT, 200, id="ALB"),
        pytest.param(Front.HTTP_API_V2, LARGEST_BUFFERED, 5, id="Lambda"),
    ],
)
async def test_a_backlog_of_the_largest_messages_passes(
    kind: Front, most: int, count: int, tcp: dict[str, str]
) -> None:
    """A load balancer takes 1 MiB, the others what Lambda itself does: 6 MB. `serving` sees to it that none refuses."""
    async with (
        serving(tcp | {"GAPLESS_MAX_BODY": str(most)}, kind) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
    ):
        cursor = (await take(http, "/channels/c/stream")).cursor
        sent = await publish(http, "c", [largest(most, number) for number in range(count)], [1])
        got: list[Any] = []
        while len(got) < count:
            turn = await take(http, "/channels/c/stream", cursor)
            assert turn.messages and set(turn.kinds[1:-1]) == {"message"}
            cursor = turn.cursor
            got += turn.messages
        assert [(one["id"], one["data"]) for one in got] == sent
        refused = await http.post("/channels/c/messages", json={"data": largest(most, 0) + "éé"})
        assert refused.status_code == 413
    sizes = [run.result_bytes for run in front.stats.invocations]
    # The runtime of Python 3.11 escapes what is not ASCII; newer ones send it as it is.
    assert most < max(sizes) <= kind.value.result_limit


async def test_one_loud_channel_of_sixteen_does_not_starve_the_others(store: dict[str, str]) -> None:
    quiet = [f"quiet-{number}" for number in range(15)]
    path = f"/stream?channel=loud,{','.join(quiet)}"
    async with serving(store) as front, httpx.AsyncClient(base_url=front.url, timeout=30) as http:
        cursor = (await take(http, path)).cursor
        loud = [one.id for one in await publish(http, "loud", ["x" * 3000] * 300, [30])]
        for name in quiet:
            await publish(http, name, [name], [1])
        got: list[tuple[str, str]] = []
        turns = 0
        while len(got) < len(loud) + len(quiet):
            turn = await take(http, path, cursor)
            cursor = turn.cursor
            got += [(one["channel"], one["id"]) for one in turn.messages]
            turns += 1
            if turns == 1:  # its share of the first answer is no more than what is left over
                assert {name for name, _ in got} == {"loud", *quiet} and len(got) < len(loud)
    assert [seen for name, seen in got if name == "loud"] == loud
    assert sorted(name for name, _ in got if name != "loud") == sorted(quiet)
