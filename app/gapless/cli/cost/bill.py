"""What a month of a usage costs, by item. Pure: the prices are an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gapless.cli.cost.shape import Platform, Shape, Store
from gapless.cli.cost.usage import Usage, usage

DAYS = 30.4
"""Of a month."""

Prices = Mapping[str, float]
"""Dollars, by the names in prices.json."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the bill: so much of something, and its price a month."""

    name: str
    amount: float
    unit: str
    dollars: float


def bill(shape: Shape, prices: Prices) -> list[Item]:
    """Every item of a month, without free allowances."""
    used = usage(shape)
    return [*_PLATFORMS[shape.platform](used, prices), *_store(shape, used, prices)]


def total(shape: Shape, prices: Prices) -> float:
    """Dollars a month."""
    return sum(item.dollars for item in bill(shape, prices))


def item_of(name: str, a_day: float, unit: str, price: float) -> Item:
    """What is used up each day, as a month of it."""
    return Item(name, a_day * DAYS, unit, a_day * DAYS * price)


def _server(used: Usage, prices: Prices) -> list[Item]:
    return [Item("machine", 1, "month", prices["machine_month"])]


def _vercel(used: Usage, prices: Prices) -> list[Item]:
    return [
        item_of("invocations", used.requests, "requests", prices["vercel_invocation"]),
        item_of("active CPU", used.cpu_hours, "hours", prices["vercel_cpu_hour"]),
        item_of("provisioned memory", used.gb_hours, "GB-hours", prices["vercel_gb_hour"]),
    ]


def _lambda(used: Usage, prices: Prices) -> list[Item]:
    return [
        item_of("HTTP API", used.requests, "requests", prices["http_api_request"]),
        item_of("invocations", used.requests, "requests", prices["lambda_request"]),
        item_of("duration", used.gb_hours, "GB-hours", prices["lambda_gb_second"] * 3600),
    ]


def _lambda_stream(used: Usage, prices: Prices) -> list[Item]:
    return _lambda(used, prices)[1:]  # a function URL has no price of its own


_PLATFORMS: dict[Platform, Callable[[Usage, Prices], list[Item]]] = {
    Platform.SERVER: _server,
    Platform.VERCEL: _vercel,
    Platform.LAMBDA: _lambda,
    Platform.LAMBDA_STREAM: _lambda_stream,
}


def _store(shape: Shape, used: Usage, prices: Prices) -> list[Item]:
    price = prices["upstash_command"] if shape.store is Store.UPSTASH else 0.0
    return [item_of(f"commands: {name}", count, "commands", price) for name, count in used.commands.items()]


def knob(shape: Shape, prices: Prices) -> tuple[str, float]:
    """What of all that can be set would save most, and how many dollars a month."""
    changed = {
        "half the hours online (let hidden tabs close their streams)": replace(shape, hours=shape.hours / 2),
        "streams that live twice as long (GAPLESS_LIFETIME)": replace(shape, lifetime=shape.lifetime * 2),
        "rechecks half as often (GAPLESS_RECHECK)": replace(shape, recheck=shape.rechecked * 2),
        "no rate in the store (GAPLESS_RATE=0)": replace(shape, rate=False),
        "functions with half the memory": replace(shape, memory=shape.memory / 2),
    }
    now = total(shape, prices)
    saved = {name: now - total(other, prices) for name, other in changed.items()}
    best = max(saved, key=saved.__getitem__)
    return best, saved[best]


def warning(shape: Shape, prices: Prices) -> str | None:
    """A sentence for a shape that hardly anybody can want."""
    if not shape.platform.alone or shape.users < MANY:
        return None
    there = replace(shape, platform=Platform.VERCEL, memory=2.0)
    return (
        f"{shape.users} clients who wait hold {shape.users} environments at once: on Lambda each has its own, and is "
        f"billed while it waits. Where they share one, as on Vercel, it is about {total(there, prices):,.0f} dollars a "
        "month, and on a server the price of a machine."
    )


MANY = 50
"""Clients who wait on Lambda; serverless.yml reserves as many environments for each function."""
