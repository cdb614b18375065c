"""What others charge for the same is worked out as they count it, also where they are the cheaper ones."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gapless.cli.cost.beside import Rival, beside
from gapless.cli.cost.bill import DAYS, total
from gapless.cli.cost.report import plans_of, price_table
from gapless.cli.cost.shape import Platform, Shape, Store
from tests.project.tables import tables

TABLE = price_table()
PRICES = {name: one["dollars"] for name, one in TABLE["prices"].items()}
ALWAYS_ON = Shape(users=500, hours=24, messages=10_000, platform=Platform.VERCEL, store=Store.UPSTASH, memory=2.0)
IN_PAIRS = replace(ALWAYS_ON, channels=250)
"""The same users, each message read by two."""


def rivals(shape: Shape) -> dict[str, Rival]:
    return {one.name: one for one in beside(shape, PRICES, plans_of(TABLE))}


def dollars(shape: Shape) -> dict[str, float | None]:
    return {name: one.dollars for name, one in rivals(shape).items()}


def test_500_users_who_are_always_there_by_hand() -> None:
    """A post is one message, and each of its 500 deliveries another one."""
    told, minutes = 10_000 * 501 * DAYS, 500 * 24 * 60 * DAYS
    asked = (2 * 10_000 + 500 * 24 * (3 * 12 + 60)) * DAYS
    found = dollars(ALWAYS_ON)
    assert found["Ably (per minute)"] == pytest.approx(29 + (2.5 * told + minutes + minutes / 500) / 1e6)
    assert found["Pusher Channels"] == 299, "5,010,000 a day are more than Pro has"
    assert found["AppSync Events"] == pytest.approx((told + 0.08 * minutes) / 1e6)
    realtime = {item.name: item for item in rivals(ALWAYS_ON)["@upstash/realtime"].items or []}
    assert realtime["commands"].amount == pytest.approx(asked)
    assert "provisioned memory" in realtime


def test_whoever_bills_deliveries_is_dearer_where_many_read_each_message() -> None:
    ours = total(ALWAYS_ON, PRICES)
    assert all(other is not None and other > 3 * ours for other in dollars(ALWAYS_ON).values())


def test_appsync_is_cheaper_where_few_read_each_message() -> None:
    """docs/cost.md says so."""
    ours, appsync = total(IN_PAIRS, PRICES), dollars(IN_PAIRS)["AppSync Events"]
    assert appsync is not None and appsync < ours / 5


def test_the_page_says_the_same() -> None:
    """docs/cost.md, in whole dollars."""
    page = (Path(__file__).parents[3] / "docs" / "cost.md").read_text(encoding="utf-8")
    rows = {name.strip("`"): cells for name, *cells in tables(page)["500 users always online, 10,000 messages a day"]}
    names = {"AWS AppSync Events": "AppSync Events", "Pusher Channels": "Pusher Channels"} | {
        "Ably, by messages and minutes": "Ably (per minute)",
        "@upstash/realtime` on Vercel": "@upstash/realtime",
    }
    for column, shape in enumerate((ALWAYS_ON, IN_PAIRS)):
        sums = dollars(shape)
        wanted = {shown: sums[name] for shown, name in names.items()}
        wanted["Gapless on Vercel, Upstash"] = total(shape, PRICES)
        turns = replace(shape, platform=Platform.LAMBDA, memory=0.5)
        wanted["Gapless on Lambda, in turns"] = total(turns, PRICES)
        for name, exact in wanted.items():
            shown = int(re.sub(r"[,*]| \(.*", "", rows[name][column]))
            assert exact is not None and abs(shown - exact) <= 0.5, name


def test_a_plan_must_hold_the_connections_too() -> None:
    silent = replace(ALWAYS_ON, messages=0)
    found = [dollars(replace(silent, users=users))["Pusher Channels"] for users in (100, 101, 500, 501, 30_000)]
    assert found == [0, 49, 49, 99, 1199]
    assert rivals(replace(silent, users=30_001))["Pusher Channels"].items is None


def test_where_they_are_asked_does_not_matter() -> None:
    assert dollars(ALWAYS_ON) == dollars(replace(ALWAYS_ON, platform=Platform.LAMBDA, store=Store.REDIS, memory=0.5))
