"""What the same users and messages cost at services of others, by their public prices. Pure.

Ably, Pusher and AppSync Events bill each delivery; @upstash/realtime bills what each subscriber asks of Redis. How each
counts is said where it is counted; the prices, their sources and dates stand in prices.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gapless.cli.cost.bill import Item, Prices, item_of
from gapless.cli.cost.bill import bill as own_bill
from gapless.cli.cost.shape import Platform, Shape, Store
from gapless.cli.cost.usage import usage

RECONNECTS, PINGS = 3 * 12, 60
"""Commands an hour of each subscriber of @upstash/realtime: three each 300 s, and one PUBLISH each 60 s, as its page on
pricing says."""
EMIT = 2
"""Its commands for a message: PUBLISH and XADD, as the same page says."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with a fixed price: dollars a month, connections at once, messages a day (published and delivered)."""

    name: str
    dollars: float
    connections: int
    messages_a_day: int


@dataclass(frozen=True, slots=True)
class Rival:
    """`items` of its bill; None where its public plans do not reach so far."""

    name: str
    items: list[Item] | None

    @property
    def dollars(self) -> float | None:
        """A month."""
        return None if self.items is None else sum(item.dollars for item in self.items)


def beside(shape: Shape, prices: Prices, plans: Sequence[Plan]) -> list[Rival]:
    """The same month at each of them. `plans`: Pusher's."""
    return [
        Rival("Ably (per minute)", _ably(shape, prices)),
        Rival("Pusher Channels", _pusher(shape, plans)),
        Rival("AppSync Events", _appsync(shape, prices)),
        Rival("@upstash/realtime", _upstash_realtime(shape, prices)),
    ]


def _told(shape: Shape) -> float:
    """Messages a day as these count them: one for the post, one for each delivery."""
    return shape.messages + usage(shape).deliveries


def _ably(shape: Shape, prices: Prices) -> list[Item]:
    """For accounts from before it began to bill users by the month; what that costs is not in our table."""
    return [
        Item("Standard package", 1, "month", prices["ably_month"]),
        item_of("messages", _told(shape), "messages", prices["ably_message"]),
        item_of("connections", shape.online * 60, "minutes", prices["ably_connection_minute"]),
        item_of("channels", shape.channels * shape.hours * 60, "minutes", prices["ably_channel_minute"]),
    ]


def _pusher(shape: Shape, plans: Sequence[Plan]) -> list[Item] | None:
    """The cheapest plan that holds all connections and all messages of a day."""
    fit = [plan for plan in plans if plan.connections >= shape.users and plan.messages_a_day >= _told(shape)]
    if not fit:
        return None
    cheapest = min(fit, key=lambda plan: plan.dollars)
    return [Item(f"plan {cheapest.name}", 1, "month", cheapest.dollars)]


def _appsync(shape: Shape, prices: Prices) -> list[Item]:
    """Messages of up to 5 KB: one operation for the post, one for each delivery. Nothing is kept."""
    return [
        item_of("operations", _told(shape), "operations", prices["appsync_operation"]),
        item_of("connections", shape.online * 60, "minutes", prices["appsync_connection_minute"]),
    ]


def _upstash_realtime(shape: Shape, prices: Prices) -> list[Item]:
    """On Vercel, which it is made for: the functions are taken to cost what ours do there."""
    ours = replace(shape, platform=Platform.VERCEL, store=Store.UPSTASH, memory=2.0)
    functions = [item for item in own_bill(ours, prices) if item.unit != "commands"]
    asked = EMIT * shape.messages + (RECONNECTS + PINGS) * shape.online
    return [*functions, item_of("commands", asked, "commands", prices["upstash_command"])]
