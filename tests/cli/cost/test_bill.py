"""Every item of a bill has a price, what would save most is found, and absurd shapes are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gapless.cli.cost.bill import DAYS, bill, knob, total, warning
from gapless.cli.cost.report import price_table
from gapless.cli.cost.shape import Platform, Shape, Store

PRICES = {name: one["dollars"] for name, one in price_table()["prices"].items()} | {"machine_month": 10.0}
ALWAYS_ON = Shape(users=500, hours=24, messages=10_000, store=Store.UPSTASH)


def test_a_client_who_always_waits_on_lambda_costs_what_the_docs_say() -> None:
    """docs/deploy-lambda.md: $17.50 a month; some 800 commands an hour."""
    one = replace(ALWAYS_ON, users=1, messages=0, platform=Platform.LAMBDA)
    items = {item.name: item for item in bill(one, PRICES)}
    assert items["duration"].dollars == pytest.approx(17.5, rel=0.01)
    assert items["commands: turns"].amount / (DAYS * 24) == pytest.approx(800, rel=0.01)
    stream = {item.name: item for item in bill(replace(one, platform=Platform.LAMBDA_STREAM), PRICES)}
    assert stream["commands: streams"].amount / (DAYS * 24) == pytest.approx(70, rel=0.1)
    assert "HTTP API" not in stream


@pytest.mark.parametrize("platform", Platform)
def test_more_of_anything_never_costs_less(platform: Platform) -> None:
    shape = replace(ALWAYS_ON, platform=platform, hours=12)
    now = total(shape, PRICES)
    for more in (replace(shape, users=1000), replace(shape, hours=24), replace(shape, messages=20_000)):
        assert total(more, PRICES) >= now > 0


def test_redis_of_ones_own_bills_no_command() -> None:
    shape = replace(ALWAYS_ON, store=Store.REDIS)
    assert total(shape, PRICES) == 10.0
    assert sum(item.amount for item in bill(shape, PRICES) if item.unit == "commands") > 0


def test_what_would_save_most_is_found() -> None:
    best, saved = knob(replace(ALWAYS_ON, platform=Platform.LAMBDA), PRICES)
    assert "half the hours" in best and saved > 1000
    talkative = Shape(users=2, hours=24, messages=10_000_000, store=Store.UPSTASH)
    assert knob(talkative, PRICES)[0] == "no rate in the store (GAPLESS_RATE=0)"


def test_only_many_who_wait_on_lambda_are_warned() -> None:
    for platform in Platform:
        said = warning(replace(ALWAYS_ON, platform=platform), PRICES)
        assert bool(said) is platform.alone
    assert warning(Shape(users=10, platform=Platform.LAMBDA), PRICES) is None


def test_every_price_has_a_source_and_a_date() -> None:
    table = price_table()
    assert table["read"] and all(one["source"] for one in table["prices"].values())
    assert table["pusher_plans_source"]
