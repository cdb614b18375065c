"""What a day takes, where it can be worked out by hand."""

from __future__ import annotations

import pytest

from gapless.cli.cost.shape import Platform, Shape, Store
from gapless.cli.cost.usage import usage


def test_a_silent_day_costs_the_rechecks() -> None:
    over_tcp = usage(Shape(users=500, hours=24, messages=0))
    assert over_tcp.commands == {"publish": 0.0, "openings": 4.0, "quiet reads": 24 * 240.0}
    over_rest = usage(Shape(users=500, hours=24, messages=0, store=Store.UPSTASH))
    assert over_rest.commands["quiet reads"] == 24 * 15
    assert usage(Shape(users=500, hours=24, messages=0, channels=3)).commands["quiet reads"] == 3 * 24 * 240


def test_more_readers_cost_no_command_where_they_share_a_process() -> None:
    few, many = (usage(Shape(users=users, messages=100)) for users in (1, 1000))
    assert few.commands == many.commands
    assert many.deliveries == 1000 * few.deliveries


@pytest.mark.parametrize("messages", [1, 100, 10_000, 1_000_000])
def test_reads_are_bounded_however_much_is_said(messages: int) -> None:
    """At most each recheck, and one a minute where notices stop."""
    reads = usage(Shape(hours=1, messages=messages, store=Store.UPSTASH)).commands["quiet reads"]
    assert 15 <= reads <= 15 + 60
    assert usage(Shape(hours=1, messages=messages)).commands["quiet reads"] <= 240 + 60


def test_a_message_ends_a_turn_and_not_a_stream() -> None:
    quiet, busy = (Shape(messages=messages, platform=Platform.LAMBDA) for messages in (0, 100_000))
    assert usage(busy).openings > 2 * usage(quiet).openings
    assert usage(quiet).openings == pytest.approx(100 * 8 * 3600 / 18.1)
    streams = [usage(Shape(messages=messages, platform=Platform.VERCEL)).openings for messages in (0, 100_000)]
    assert streams[0] == streams[1] == pytest.approx(100 * 8 * 3600 / 216.7)


def test_memory_is_held_by_each_client_on_lambda_and_by_each_instance_elsewhere() -> None:
    assert usage(Shape(users=10, hours=2, memory=0.5, platform=Platform.LAMBDA)).gb_hours == 10
    assert usage(Shape(users=10, hours=2, memory=2.0, processes=3, platform=Platform.VERCEL)).gb_hours == 12
