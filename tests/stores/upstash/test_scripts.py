"""How the scripts are run: the cheapest way that the database takes, whichever that is, and never a message untold."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.log.publication import Accepted, Repeated
from gapless.stores.attempts import PAUSES
from gapless.stores.upstash.rest import KeysRefused
from gapless.stores.upstash.store import ScriptMode, fitting
from tests.stores.contract.publications import Heard, entries, message, publication
from tests.stores.upstash.use import emulated, until
from tests.testkit.valkey import Valkey

LOG = "gapless:{c}:log"
WAYS = {
    ("accept", "accept"): "locked",
    ("accept", "refuse_in_locked"): "plain",
    ("accept", "refuse_always"): "locked, told after",
    ("refuse", "accept"): "plain",
    ("refuse", "refuse_in_locked"): "plain",
    ("refuse", "refuse_always"): "plain, told after",
}


@pytest.mark.parametrize(("key_locking", "publish_in_scripts"), WAYS)
async def test_every_message_is_told_and_soon_by_the_cheapest_way_there_is(
    valkey: Valkey, key_locking: str, publish_in_scripts: str
) -> None:
    async with emulated(valkey, key_locking=key_locking, publish_in_scripts=publish_in_scripts) as (
        emulator,
        open_store,
    ):
        here, there, heard = open_store(), open_store(), Heard()
        assert there.state() == {"scripts": "locked", "notices": "subscribe"}
        await here.subscribe("c", heard)
        posted = [entries(await there.publish(publication("c", number)))[0].position for number in range(5)]
        await until(lambda: heard.positions == posted, "all were told, in order, once")
        way = WAYS[key_locking, publish_in_scripts]
        assert there.state()["scripts"] == way
        emulator.reset_counts()
        await there.publish(publication("c"))
        wanted = {"EVALSHA": 1, "LINDEX": 1, "RPUSH": 1, "PUBLISH": 1}
        await until(lambda: emulator.counts == wanted, f"a publish costs {wanted}, not {emulator.counts}")
        assert (await there.slice("c", 1, 6)).latest


@pytest.mark.parametrize(("key_locking", "publish_in_scripts"), WAYS)
async def test_many_who_are_refused_at_once_go_down_one_step_at_a_time(
    valkey: Valkey, key_locking: str, publish_in_scripts: str
) -> None:
    """Eight publishers meet the same refusal: the later ones must not leave the way that the first has found."""
    async with emulated(valkey, key_locking=key_locking, publish_in_scripts=publish_in_scripts) as (
        emulator,
        open_store,
    ):
        here, there, heard = open_store(), open_store(), Heard()
        await here.subscribe("c", heard)
        emulator.faults.arm("delay", lo_ms=5, hi_ms=30)
        for _ in range(2):
            outcomes = await asyncio.gather(*(there.publish(publication("c")) for _ in range(8)))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert there.state()["scripts"] == WAYS[key_locking, publish_in_scripts]
        assert valkey.cli("LLEN", LOG) == 16
        await until(lambda: len(set(heard.positions)) == 16, "all were told")


async def test_who_is_refused_late_does_not_bring_back_a_way_that_was_left(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with emulated(valkey, publish_in_scripts="refuse_always") as (_, open_store):
        store = open_store()
        attempt, asked, arrives = store._rest.attempt, 0, asyncio.Event()

        async def first_late(*command: Any) -> Any:
            nonlocal asked
            asked += 1
            try:
                is_first = asked == 1
                return await attempt(*command)
            finally:
                if is_first:
                    await arrives.wait()

        monkeypatch.setattr(store._rest, "attempt", first_late)
        late = asyncio.create_task(store.publish(publication("c")))
        await until(lambda: asked, "the first is under way")
        for _ in range(3):
            await store.publish(publication("c"))
        assert store.state()["scripts"] == "locked, told after"
        assert not late.done()
        arrives.set()
        await late
        assert store.state()["scripts"] == "locked, told after"


@pytest.mark.parametrize("publish_in_scripts", ["refuse_in_locked", "refuse_always"])
async def test_a_message_whose_reply_was_lost_at_the_first_refusal_is_told(
    valkey: Valkey, publish_in_scripts: str
) -> None:
    """Its repetition finds it in the log, the script could not tell it, and nobody else would."""
    async with emulated(valkey, publish_in_scripts=publish_in_scripts) as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        await here.subscribe("c", heard)
        emulator.faults.arm("drop_reply", match="EVAL", times=1)
        outcome = await there.publish(publication("c", message(1, "id")))
        assert isinstance(outcome, Repeated)
        await until(lambda: outcome.ids[0] in heard.positions, "it was told")


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_message_whose_reply_was_lost_before_it_was_told_is_told(valkey: Valkey, lost: int) -> None:
    """By our own second attempt; or, where that was lost too, by the client's."""
    async with emulated(valkey, publish_in_scripts="refuse_always") as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        await here.subscribe("c", heard)
        await there.publish(publication("c"))
        await there.publish(publication("c"))
        emulator.faults.arm("drop_reply", match="EVALSHA", times=lost)
        if lost == 2:
            with pytest.raises(StoreUnavailable) as error:
                await there.publish(publication("c", message(1, "id")))
            assert error.value.outcome_unknown
        outcome = await there.publish(publication("c", message(1, "id")))
        assert isinstance(outcome, Repeated)
        await until(lambda: outcome.ids[0] in heard.positions, "it was told")


async def test_a_publish_after_the_script_that_fails_costs_delay_only(valkey: Valkey) -> None:
    async with emulated(valkey, publish_in_scripts="refuse_always") as (emulator, open_store):
        store = open_store()
        await store.publish(publication("c"))
        await store.publish(publication("c"))
        emulator.faults.arm("server_error", match="PUBLISH", times=1 + len(PAUSES))
        assert entries(await store.publish(publication("c")))
        assert valkey.cli("LLEN", LOG) == 3


async def test_a_script_that_was_stopped_at_a_key_may_have_written(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should Upstash stop a script at PUBLISH instead of refusing the call, the messages are in the log by then."""
    async with emulated(valkey) as (emulator, open_store):
        store, rest = open_store(), open_store()._rest
        attempt, stopped = rest.attempt, 0

        async def stopping(*command: Any) -> Any:
            nonlocal stopped
            reply = await attempt(*command)
            if command[0].startswith("EVAL") and not stopped:
                stopped += 1
                raise KeysRefused("ERR Dynamic keys are not allowed", outcome_unknown=True)
            return reply

        monkeypatch.setattr(store, "_rest", rest)
        monkeypatch.setattr(rest, "attempt", stopping)
        with pytest.raises(StoreUnavailable) as error:
            await store.publish(publication("c"))
        assert (error.value.outcome_unknown, stopped) == (True, 1)
        assert valkey.cli("LLEN", LOG) == 1
        assert store.state()["scripts"] == "plain"
        assert entries(await store.publish(publication("c")))

        stopped = 0
        keyed = open_store()
        monkeypatch.setattr(keyed, "_rest", rest)
        outcome = await keyed.publish(publication("c", message(1, "id")))
        assert isinstance(outcome, Repeated)
        assert valkey.cli("LLEN", LOG) == 3
        assert emulator.counts["RPUSH"] == 3


def test_ways_are_told_in_words() -> None:
    told = {str(ScriptMode(locked, notifies)) for locked, notifies in product((True, False), repeat=2)}
    assert told == {"locked", "plain", "locked, told after", "plain, told after"}


@pytest.mark.parametrize("body", [1024, 65_536, 131_072, 1_048_576, 2_000_000])
def test_a_page_of_the_largest_messages_fits_a_reply(body: int) -> None:
    """10 MB, written as base64, with the log's two ends beside the page."""
    page = fitting(max(1, min(100, 8_388_608 // body)))
    assert page >= 1
    assert (page + 2) * (body + 300) * 4 / 3 < 10_000_000
