"""What idling costs is counted by the service; where it can't be, the settings say it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gapless.cli.doctor.checks.idle import NAME, Seen, judge, probe
from gapless.cli.doctor.site import Reply, Site
from gapless.cli.remote import Remote
from tests.cli.doctor.deployment import deployed
from tests.testkit.doctor import token

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey


def told(seen: Seen | None, *, turns: bool = False, **body: Any) -> tuple[str, dict[str, Any]]:
    (finding,) = judge(Reply(200, "", body=body), seen, turns=turns)
    assert finding.check == NAME
    return finding.said, finding.figures


def test_what_was_counted_is_told_beside_what_the_settings_say() -> None:
    said, figures = told(Seen(2, 24.0), store="Redis at host:6379")
    assert said.startswith("2 commands in 24 quiet s, 5 a minute")
    assert figures == {"commandsPerMinute": 5.0, "measuredSeconds": 24.0, "bySettings": 4.0}


@pytest.mark.parametrize(("store", "commands"), [("Redis at host:6379", 4.0), ("Upstash at https://a", 0.25)])
def test_without_a_count_the_settings_say_it(store: str, commands: float) -> None:
    said, figures = told(None, store=store)
    assert said.startswith(f"by its settings {commands:g} commands") and figures["commandsPerMinute"] == commands


def test_turns_cost_each_client_its_own() -> None:
    said, figures = told(None, turns=True, store="Upstash at https://a")
    assert "each client" in said and figures == {"commandsPerTurn": 4}


def test_who_is_no_administrator_is_told_nothing() -> None:
    assert judge(Reply(200, "", body={"status": "ok"}), Seen(1, 10.0), turns=False) == []


async def counted(counts: list[Any], watch: float) -> Seen | None:
    """The probe where `/readyz` tells these, one after the other."""
    left = iter(counts)
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"status": "ok", **next(left)}))
    async with httpx.AsyncClient(transport=answer, base_url="http://localhost") as http:
        site = Site(http, "c", "c.quiet", None, None, watch, lambda: 0.0)
        return await probe(site, asyncio.get_running_loop().time() + watch)


def commands(*counts: int) -> list[Any]:
    return [{"commands": count} for count in counts]


@pytest.mark.virtual_time
async def test_the_doctors_own_question_is_not_counted() -> None:
    seen = await counted(commands(100, 103, 103), 40.0)
    assert seen == Seen(2, pytest.approx(28.0))


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "counts",
    [
        commands(100, 50, 50),  # the second is another process, whose count is lower
        commands(100, 900, 103),  # the third is
        commands(50, 103, 900),
        [{}, {}, {}],  # an older version
    ],
)
async def test_answers_of_several_processes_are_no_count(counts: list[Any]) -> None:
    assert await counted(counts, 40.0) is None


@pytest.mark.virtual_time
async def test_a_short_watch_tells_nothing() -> None:
    assert await counted([], 5.0) is None


@pytest.mark.real(seconds=10)
async def test_a_channel_that_is_looked_at_every_second(valkey: Valkey) -> None:
    """By the count of a real service."""
    async with deployed(valkey.url, recheck=1.0) as url, httpx.AsyncClient(**Remote(url, token()).options(30)) as http:
        site = Site(http, "c", "c.quiet", None, None, 7.0, lambda: 0.0)
        async with site.stream("c.quiet") as (_, events):
            assert (await anext(events)).kind == "hello"
            seen = await probe(site, asyncio.get_running_loop().time() + site.watch)
    assert seen and seen.commands >= 1
