"""`gapless cost` on the terminal, or as one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import click

from gapless.cli.cost.beside import Plan, Rival, beside
from gapless.cli.cost.bill import Item, bill, knob, warning
from gapless.cli.cost.shape import Shape
from gapless.cli.cost.usage import usage


def cost(shape: Shape, machine: float, *, others: bool, as_json: bool) -> int:
    """Print what a month costs. `others`: beside what the same costs at services of others."""
    table = price_table()
    prices = {name: float(one["dollars"]) for name, one in table["prices"].items()} | {"machine_month": machine}
    items = bill(shape, prices)
    rivals = beside(shape, prices, plans_of(table)) if others else []
    if as_json:
        document = _document(shape, items, table, warning(shape, prices))
        told = {"beside": [asdict(one) | {"dollars": one.dollars} for one in rivals]} if others else {}
        click.echo(json.dumps(document | told, indent=2))
        return 0
    for line in [_shape_line(shape), *map(_line, items), _sum_line(items), *map(_beside_line, rivals)]:
        click.echo(line)
    best, saved = knob(shape, prices)
    if saved >= 0.01:
        click.echo(f"Most would save: {best}, {saved:,.2f} dollars.")
    if said := warning(shape, prices):
        click.echo(click.style(said, fg="yellow"))
    click.echo(f"Prices of {table['read']}. {table['note']}")
    return 0


def price_table() -> Any:
    """The dated prices with their sources."""
    return json.loads(files("gapless.cli.cost").joinpath("prices.json").read_text(encoding="utf-8"))


def plans_of(table: Any) -> list[Plan]:
    """Pusher's plans in the table."""
    return [Plan(**plan) for plan in table["pusher_plans"]]


def _shape_line(shape: Shape) -> str:
    said = f"{shape.messages} messages a day with {shape.users / shape.channels:g} readers each"
    return f"{shape.users} users, {shape.hours:g} hours a day, {said}, on {shape.platform} with {shape.store}"


def _line(item: Item) -> str:
    return f"  {item.name:<24}{item.amount:>16,.2f} {item.unit:<10}{item.dollars:>12,.2f} $"


def _sum_line(items: list[Item]) -> str:
    return f"  {'a month':<24}{'':>16} {'':<10}{sum(item.dollars for item in items):>12,.2f} $"


def _beside_line(rival: Rival) -> str:
    if rival.items is None or rival.dollars is None:
        return f"  beside {rival.name:<46}{'on request':>12}"
    most = max(rival.items, key=lambda item: item.dollars)
    return f"  beside {rival.name:<22}{'mostly ' + most.name:<30}{rival.dollars:>12,.2f} $"


def _document(shape: Shape, items: list[Item], table: Any, said: str | None) -> dict[str, Any]:
    used = asdict(usage(shape))
    return {
        "shape": asdict(shape),
        "day": used,
        "month": [asdict(item) for item in items],
        "dollars": round(sum(item.dollars for item in items), 2),
        "warning": said,
        "prices": table,
    }
