"""Subscriptions over REST: SUBSCRIBE while it works, else polling, and nothing that stays silent for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.stores import topic
from gapless.stores.upstash import gate as upstash_gate
from gapless.stores.upstash import poll as upstash_poll
from gapless.stores.upstash import subscriptions as upstash_ears
from gapless.stores.upstash import upstream as upstash_upstream
from tests.stores.contract.publications import Heard, entries, publication
from tests.stores.upstash.use import emulated, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapless.log.cursor import Position
    from gapless.log.store import Store
    from tests.testkit.valkey import Valkey

POLL = (0.05, 0.2)
TRY_AGAIN = (0.3, 1.2)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is repeated is repeated ten times as fast. What may come late is waited for, however slow the machine is."""
    monkeypatch.setattr(upstash_poll, "POLL", POLL)
    monkeypatch.setattr(upstash_gate, "TRY_AGAIN", TRY_AGAIN)
    monkeypatch.setattr(upstash_upstream, "BACKOFF", (0.02, 0.2))
    monkeypatch.setattr(upstash_upstream, "ACK_TIMEOUT", 60.0)
    monkeypatch.setattr(upstash_ears, "OPEN_TIMEOUT", 60.0)
    monkeypatch.setattr(topic, "DOUBT", (60.0, 60.0))


@contextmanager
def impatient(module: object, name: str, value: object) -> Iterator[None]:
    """With what will never come, for as long as that is waited for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, value)
        yield


@pytest.fixture
def refused_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """SUBSCRIBE is not tried again."""
    monkeypatch.setattr(upstash_gate, "TRY_AGAIN", (1000.0, 1000.0))


async def post(store: Store, channel: str = "c") -> Position:
    return entries(await store.publish(publication(channel)))[0].position


# --- polling


@pytest.mark.usefixtures("refused_for_good")
async def test_where_subscribe_is_refused_the_channel_is_polled_at_once(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        armed = emulator.faults.arm("refuse_subscribe")
        await here.subscribe("c", heard)
        assert armed.hits == 1, "one refusal says enough"
        assert here.state()["notices"] == "poll"
        posted = [await post(there) for _ in range(3)]
        await until(lambda: set(posted) <= set(heard.positions), "it was told by polling")
        assert "lost" not in heard.calls


@pytest.mark.usefixtures("refused_for_good")
async def test_a_refusal_is_known_to_all_channels(valkey: Valkey) -> None:
    """Those that are opened then are polled at once. (When SUBSCRIBE is tried again: `test_upstream.py`.)"""
    async with emulated(valkey) as (emulator, open_store):
        here = open_store()
        armed = emulator.faults.arm("refuse_subscribe")
        channels = [f"c{number}" for number in range(13)]
        for channel in channels:
            await here.subscribe(channel, Heard())
        seen: Counter[str] = Counter()
        emulator.faults.arm(
            "delay", match=lambda one: seen.update(argv[1].decode() for argv in one.commands) or False, may_miss=True
        )
        await until(lambda: all(seen[f"gapless:{{{channel}}}:log"] >= 2 for channel in channels), "all are polled")
        assert armed.hits == 1


async def test_a_tick_costs_one_read_a_channel_however_many_listen(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        emulator.faults.arm("refuse_subscribe")
        here = open_store()
        for channel in ("c", "c", "c", "d"):
            await here.subscribe(channel, Heard())
        seen: Counter[str] = Counter()
        emulator.faults.arm(
            "delay", match=lambda one: seen.update(argv[1].decode() for argv in one.commands) or False, may_miss=True
        )
        await until(lambda: seen.total() >= 20, "ten ticks of two channels")
        assert seen.keys() == {"gapless:{c}:log", "gapless:{d}:log"}
        assert abs(seen["gapless:{c}:log"] - seen["gapless:{d}:log"]) <= 2


async def test_a_log_that_is_gone_is_told_of_too(valkey: Valkey) -> None:
    """PUBLISH reaches nobody here: whoever polls has to see for itself that the log is not there any more."""
    async with emulated(valkey) as (emulator, open_store):
        emulator.faults.arm("refuse_subscribe")
        here, there, heard = open_store(), open_store(), Heard()
        first = await post(there)
        await here.subscribe("c", heard)
        second = await post(there)
        await until(lambda: second in heard.positions, "it is polled")
        valkey.cli("DEL", "gapless:{c}:log")
        await until(lambda: heard.positions[-1] not in (first, second), "something else is told")
        assert isinstance(heard.told[-1], tuple), "a position that makes readers read"


async def test_the_first_message_of_an_empty_channel_is_told(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        emulator.faults.arm("refuse_subscribe")
        here, there, heard = open_store(), open_store(), Heard()
        await here.subscribe("c", heard)
        posted = await post(there)
        await until(lambda: heard.positions == [posted], "it was told")


async def test_while_reads_fail_too_nobody_is_said_to_hear(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        emulator.faults.arm("refuse_subscribe")
        here, there, heard = open_store(), open_store(), Heard()
        await here.subscribe("c", heard)
        broken = emulator.faults.arm("server_error", match="LRANGE")
        await until(lambda: heard.calls == ["lost"], "the loss is told")
        posted = await post(there)
        await until(lambda: broken.hits >= 3, "it goes on trying")
        emulator.faults.disarm(broken)
        await until(lambda: posted in heard.positions, "it was told")
        assert [call for call in heard.calls if call != "notice"] == ["lost", "heard"]


# --- SUBSCRIBE comes back


async def test_subscribe_is_taken_up_again_when_it_comes_back(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        here, there = open_store(), open_store()
        refused = emulator.faults.arm("refuse_subscribe")
        heards = {channel: Heard() for channel in "abc"}
        for channel, heard in heards.items():
            await here.subscribe(channel, heard)
        await until(lambda: refused.hits >= 2, "it was tried again")
        emulator.faults.disarm(refused)
        await emulator.wait_upstreams(3)
        await until(lambda: here.state()["notices"] == "subscribe", "nothing is polled any more")
        await until(lambda: not polls(), "the pollers have ended")
        emulator.reset_counts()
        for channel, heard in heards.items():
            posted = await post(there, channel)
            await until(lambda: posted in heard.positions, "it is told")  # noqa: B023
            assert "lost" not in heard.calls, "it heard all the time"
        assert not emulator.counts["LRANGE"]


def polls() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("gapless poll")]


async def test_nothing_is_missed_between_the_last_poll_and_the_first_notice(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstash_upstream, "STEADY", 0.0)
    async with emulated(valkey) as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        posted: list[Position] = []
        for _ in range(4):
            refused = emulator.faults.arm("refuse_subscribe")
            if not posted:
                await here.subscribe("c", heard)
            else:
                emulator.upstreams.cut()
                await until(lambda: here.state()["notices"] == "poll", "it is polled")
            emulator.faults.disarm(refused)
            while here.state()["notices"] == "poll":
                posted.append(await post(there))
            posted.append(await post(there))
            await until(lambda: posted[-1] in heard.positions, "the newest was told")
        # Polling reads the newest eight: what it leaves out, a feed reads; the last ones must be there each time.
        told = set(heard.positions)
        assert {position for position in posted if position not in told} <= set(posted[:-8])


async def test_a_request_that_lasted_makes_up_for_refusals(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstash_upstream, "STEADY", 0.0)
    async with emulated(valkey) as (emulator, open_store):
        here = open_store()
        refused = emulator.faults.arm("refuse_subscribe")
        await here.subscribe("c", Heard())
        await until(lambda: refused.hits >= 2, "it was tried again")
        emulator.faults.disarm(refused)
        await emulator.wait_upstreams(1)
        gate = here._subscriptions._gate
        assert gate._pause > TRY_AGAIN[0]
        emulator.upstreams.cut()
        await until(lambda: gate._pause == TRY_AGAIN[0], "it is forgiven")


# --- what fails without a word of refusal


@pytest.mark.usefixtures("refused_for_good")
async def test_a_request_that_is_never_acknowledged_is_given_up_for_polling(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        emulator.faults.arm("hang", match="/subscribe/*", times=1)
        with impatient(upstash_upstream, "ACK_TIMEOUT", 3.0):
            await here.subscribe("c", heard)
        assert here.state()["notices"] == "poll"
        posted = await post(there)
        await until(lambda: posted in heard.positions, "it was told")


@pytest.mark.usefixtures("refused_for_good")
async def test_requests_that_end_as_soon_as_they_begin_are_given_up_for_polling(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        ended = emulator.faults.arm("cut_at_open")
        await here.subscribe("c", heard)
        await until(lambda: here.state()["notices"] == "poll", "it is polled")
        assert ended.hits <= upstash_upstream.FAILURES + 1
        posted = await post(there)
        await until(lambda: posted in heard.positions, "it was told")


async def test_a_database_that_is_away_is_no_refusal_for_ever(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        here = open_store()
        away = [emulator.faults.arm("drop_reply", run="never"), emulator.faults.arm("cut_at_open", may_miss=True)]
        with pytest.raises(StoreUnavailable), impatient(upstash_ears, "OPEN_TIMEOUT", 3.0):
            await here.subscribe("c", Heard())
        for armed in away:
            emulator.faults.disarm(armed)
        heard = Heard()
        await here.subscribe("c", heard)
        await until(lambda: here.state()["notices"] == "subscribe", "it listens again")


# --- silence


async def test_a_silent_upstream_is_found_by_what_this_process_publishes(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        store, heard = open_store(), Heard()
        await store.subscribe("c", heard)
        emulator.faults.arm("freeze", times=1)
        with impatient(topic, "DOUBT", (0.3, 0.1)):
            await post(store)
            await until(lambda: heard.calls == ["lost", "heard"], "a new request was opened")
        posted = await post(store)
        await until(lambda: posted in heard.positions, "it hears")
        assert emulator.counts["SUBSCRIBE"] == 2


async def test_a_notice_that_outruns_the_reply_is_not_waited_for_again(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It mostly does: it leaves in the middle of the script, the reply at its end."""
    async with emulated(valkey) as (emulator, open_store):
        store, heard = open_store(), Heard()
        await store.subscribe("c", heard)
        attempt, posted = store._rest.attempt, 0

        async def late(*command: Any) -> Any:
            reply = await attempt(*command)
            if command[0] == "PUBLISH" or emulator.scripts.publish_in_scripts == "accept":
                await until(lambda: len(heard.told) == posted, "the notice is there")
            return reply

        monkeypatch.setattr(store._rest, "attempt", late)
        for refusal in ("accept", "refuse_always"):
            emulator.configure(publish_in_scripts=refusal)
            for _ in range(3):
                posted += 1
                await post(store)
                assert store._subscriptions._topics[b"gapless:0:c"]._doubt is None
        assert emulator.counts["SUBSCRIBE"] == 1


async def test_a_silent_upstream_is_found_by_who_reads_the_log(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        subscription = await here.subscribe("c", heard)
        emulator.faults.arm("freeze", times=1)
        await post(there)
        with impatient(topic, "DOUBT", (0.3, 0.1)):
            subscription.suspect()
            await until(lambda: heard.calls == ["lost", "heard"], "a new request was opened")
        posted = await post(there)
        await until(lambda: posted in heard.positions, "it hears")


async def test_who_is_suspected_wrongly_is_left_alone(valkey: Valkey) -> None:
    """The log held a message whose notice was on its way."""
    async with emulated(valkey) as (emulator, open_store):
        here, there, heard = open_store(), open_store(), Heard()
        subscription = await here.subscribe("c", heard)
        emulator.faults.arm("notice_delay", times=1, lo_ms=150)
        posted = await post(there)
        subscription.suspect()
        await until(lambda: posted in heard.positions, "it came")
        subscription.suspect()
        await post(there)
        await until(lambda: len(heard.positions) == 2, "so did the next")
        assert here._subscriptions._topics[b"gapless:0:c"]._doubt is None
        assert emulator.counts["SUBSCRIBE"] == 1
        assert heard.calls == ["notice", "notice"]


async def test_who_leaves_while_in_doubt_is_forgotten(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        store, heard = open_store(), Heard()
        subscription = await store.subscribe("c", heard)
        emulator.faults.arm("freeze", times=1)
        await post(store)
        await until(lambda: emulator.faults.hits["freeze"], "it is silent")
        await subscription.close()
        other = Heard()
        await store.subscribe("c", other)
        posted = await post(store)
        await until(lambda: posted in other.positions, "it hears")
        assert heard.calls == []


# --- many channels


async def test_above_a_bound_one_request_hears_all_the_rest(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstash_ears, "MOST_UPSTREAMS", 3)
    async with emulated(valkey) as (emulator, open_store):
        here, there = open_store(), open_store()
        heards = {f"c{number}": Heard() for number in range(12)}
        subscriptions = {channel: await here.subscribe(channel, heard) for channel, heard in heards.items()}
        assert sorted(one.path.split(":")[0] for one in emulator.upstreams) == [
            "/psubscribe/gapless",
            *["/subscribe/gapless"] * 3,
        ]
        posted = {channel: await post(there, channel) for channel in heards}
        await post(there, "nobody-reads-this")
        for channel, heard in heards.items():
            await until(lambda: heard.positions == [posted[channel]], "only its own was told")  # noqa: B023
        assert emulator.upstreams.cut("/psubscribe/*") == 1
        for channel in list(heards)[3:]:
            await until(lambda: "heard" in heards[channel].calls, "it hears again")  # noqa: B023
        for channel, ear in subscriptions.items():
            if channel != "c11":
                await ear.close()
        await emulator.wait_upstreams(1)
        last = await post(there, "c11")
        await until(lambda: last in heards["c11"].positions, "the last one still hears")
        await subscriptions["c11"].close()
        await emulator.wait_upstreams(0)


async def test_above_the_bound_each_channel_is_polled_by_itself(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstash_ears, "MOST_UPSTREAMS", 1)
    async with emulated(valkey) as (emulator, open_store):
        emulator.faults.arm("refuse_subscribe")
        here, there = open_store(), open_store()
        heards = {f"c{number}": Heard() for number in range(6)}
        subscriptions = [await here.subscribe(channel, heard) for channel, heard in heards.items()]
        posted = {channel: await post(there, channel) for channel in heards}
        for channel, heard in heards.items():
            await until(lambda: heard.positions == [posted[channel]], "only its own was told")  # noqa: B023
        assert len(polls()) == 6
        for ear in subscriptions[1:]:
            await ear.close()
        assert len(polls()) == 1
        for armed in emulator.faults.armed("refuse_subscribe"):
            emulator.faults.disarm(armed)
        last = await post(there, "c0")
        await until(lambda: last in heards["c0"].positions, "the one that stays is told")


async def test_a_request_whose_task_somebody_cancels_is_told_as_lost(valkey: Valkey) -> None:
    async with emulated(valkey) as (_, open_store):
        store = open_store()
        await store.subscribe("c", heard := Heard())
        [task] = [task for task in asyncio.all_tasks() if task.get_name().startswith("gapless upstream")]
        task.cancel()
        await until(lambda: heard.calls == ["lost"], "the reader knows")
