"""What docs/security.md says of readers, with the figures that stand there: as the service is when nothing is set."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import count

import pytest

from gapless.auth.rates import CommandBudget, OpenRate, Who
from gapless.channels.feeds import Feeds, Visitor
from gapless.config.settings import Settings
from gapless.log.errors import Busy
from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.bounds import tries, worth
from tests.testkit.valkey import Valkey

SHARES = "of both, for one subject; for one address"
READS = "Redis commands for history, long polls and streams, per second and subject"


async def fill(stack: AsyncExitStack, feeds: Feeds, channels: list[list[str]], visitor: Visitor | None) -> int:
    """How many readers of these channels found room."""
    for number, named in enumerate(channels):
        try:
            await stack.enter_async_context(feeds.open(named, visitor))
        except Busy:
            return number
    return len(channels)


def feeds_of(found: RunningApp) -> Feeds:
    feeds: Feeds = found.app.wiring.service.feeds
    return feeds


def visitor(user: str | None, network: str) -> Visitor:
    return Visitor(Who(user, network), lambda commands: None)


@tries("channels of a stream", "16")
async def test_channels_of_a_stream(valkey: Valkey, told: tuple[int]) -> None:
    async with running_app(valkey.url) as found:
        asked = [",".join(f"c{number}" for number in range(told[0] + more)) for more in (0, 1)]
        assert [(await found.client.get(f"/stream?channel={names}")).status_code for names in asked] == [200, 422]


@tries("streams and long polls open at once in a process", "GAPLESS_STREAMS")
async def test_streams_of_a_process(valkey: Valkey, told: tuple[int]) -> None:
    async with running_app(valkey.url) as found, AsyncExitStack() as stack:
        assert await fill(stack, feeds_of(found), [["a"]] * (told[0] + 1), None) == told[0]


@tries("channels read at once in a process", "GAPLESS_CHANNELS")
async def test_channels_of_a_process(valkey: Valkey, told: tuple[int]) -> None:
    names = [[f"c{number}"] for number in range(told[0] + 1)]
    async with running_app(valkey.url, linger=300) as found:
        async with AsyncExitStack() as stack:
            assert await fill(stack, feeds_of(found), names, None) == told[0]
        async with feeds_of(found).open(names[-1]):
            there = [name for [name] in names if feeds_of(found).warm(name) is not None]
            assert len(there) == told[0], "one that lingered made way"


@tries(SHARES, "GAPLESS_USER_SHARE", "GAPLESS_ADDRESS_SHARE")
@pytest.mark.parametrize("kind", ["subject", "address"])
async def test_shares(valkey: Valkey, told: tuple[float, float], kind: str) -> None:
    share = told[0] if kind == "subject" else told[1]
    one, other = (visitor("ann" if kind == "subject" else None, network) for network in ("203.0.113.1", "203.0.113.2"))
    streams, channels = (int(worth(name) * share) for name in ("GAPLESS_STREAMS", "GAPLESS_CHANNELS"))
    other = other if kind == "address" else visitor("bob", "203.0.113.1")
    async with running_app(valkey.url) as found:
        feeds = feeds_of(found)
        async with AsyncExitStack() as stack:
            assert await fill(stack, feeds, [["a"]] * (streams + 1), one) == streams
            assert await fill(stack, feeds, [["a"]], other) == 1
        async with AsyncExitStack() as stack:
            names = [[f"c{number}"] for number in range(channels + 1)]
            assert await fill(stack, feeds, names, one) == channels
            assert await fill(stack, feeds, [names[-1]], other) == 1


@tries("streams and long polls opened per minute and address", "GAPLESS_STREAM_RATE", "10,000")
def test_streams_opened(told: tuple[float, int]) -> None:
    per_minute, remembered = int(told[0]), told[1]
    rate = OpenRate(Settings().stream_rate)
    assert [rate.wait("203.0.113.1", 0) for _ in range(per_minute)] == [0] * per_minute
    assert rate.wait("203.0.113.1", 0) == pytest.approx(60 / per_minute)
    for number in range(remembered - 1):
        rate.wait(f"{number}", 0)
    assert rate.wait("203.0.113.1", 0), "so many are remembered"
    for number in range(remembered):
        rate.wait(f"other {number}", 0)
    assert not rate.wait("203.0.113.1", 0), "and no more"


@tries(READS, "GAPLESS_READ_RATE", "four", "10,000")
def test_commands_for_reading(told: tuple[float, int, int]) -> None:
    minute, times, remembered = int(60 * told[0]), told[1], told[2]
    budget, people = CommandBudget(Settings().read_rate), count()

    def read(who: Who) -> int:
        """How many commands somebody gets."""
        return next(number for number in count() if budget.wait(who, 0))

    assert read(Who("ann", "203.0.113.1")) == minute
    assert sum(read(Who(f"{next(people)}", "203.0.113.1")) for _ in range(times)) == (times - 1) * minute
    assert read(Who(None, "203.0.113.2")) == times * minute
    bob, office = Who("bob", "203.0.113.3"), Who(None, "203.0.113.4")
    budget.spend(bob, 2 * minute, 0)
    budget.spend(office, 2 * times * minute, 0)
    owing = Who("bob", "203.0.113.5"), office
    for number in range(remembered - 1):
        budget.wait(Who(f"user {number}", f"{number}"), 0)
    assert all(budget.due(who, 0) for who in owing), "so many are remembered"
    budget.wait(Who("another", "203.0.113.6"), 0)
    assert not any(budget.due(who, 0) for who in owing), "and no more"
