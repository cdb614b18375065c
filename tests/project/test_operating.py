"""docs/operating.md, its alerts and its dashboard speak of metrics that exist, and the page of each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gapless.api.exposition import COUNTERS, registry_of
from gapless.runtime.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operating.md").read_text(encoding="utf-8")
_NAME = re.compile(r"\b(?:gapless|process)_[a-z_]+\b")


def metrics() -> dict[str, set[str]]:
    """The names of all samples, by that of the metric as people write it."""
    found: dict[str, set[str]] = {}
    counters = Counters()
    counters.store.commands["GET", ""] += 1
    for family in registry_of(counters, lambda: 0).collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {sample.name for sample in family.samples}
    return found


METRICS = metrics()
SAMPLES = set().union(*METRICS.values())


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DOCS / "operating" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def expressions() -> Iterator[str]:
    """All that is asked of Prometheus."""
    yield from (rule["expr"] for rule in alerts())
    board = json.loads((DOCS / "operating" / "dashboard.json").read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])


def test_the_table_names_each_metric_and_no_other() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(("| `gapless_", "| `process_"))]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(METRICS)


def test_it_names_each_label_and_each_value_of_it() -> None:
    rows = {row.split("`")[1]: row for row in PAGE.splitlines() if row.startswith("| `gapless_")}
    elsewhere = {"gapless_streams_ended", "gapless_delivered_bytes"}  # the reasons of `end`; as in the row above
    for counter in COUNTERS:
        row = rows[f"{counter.name}_total"]
        assert all(f"`{label}`" in row for label in counter.labels), row
        assert counter.name in elsewhere or all(f"`{value}`" in row for value in counter.values), row


@pytest.mark.parametrize("asked", [*expressions()])
def test_what_is_asked_for_is_there(asked: str) -> None:
    names = set(_NAME.findall(asked))
    assert names <= SAMPLES
    assert names or asked == 'up{job="gapless"} == 0'
    for name in names:
        if "histogram_quantile" in asked:
            assert name.endswith("_bucket"), "a histogram is asked for its buckets"
        elif name.endswith("_total"):
            assert re.search(rf"(?:rate|increase)\({name}", asked), "what only goes up is asked for its growth"
    assert asked.count("(") == asked.count(")") and asked.count("{") == asked.count("}")


def test_values_of_labels_that_are_asked_for_exist() -> None:
    every = {value for counter in COUNTERS for value in counter.values}
    for asked in expressions():
        for label, told in re.findall(r'(\w+)=~?"([^"]+)"', asked):
            assert label == "job" or {*told.split("|")} <= every, asked


def test_an_alert_says_what_it_means_and_how_urgent_it_is() -> None:
    for rule in alerts():
        assert rule["annotations"]["summary"].endswith(".") or ": " in rule["annotations"]["summary"], rule
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())
