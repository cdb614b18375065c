"""How long tests may take, and in which order several workers find and start them: the longest first, files together.

A plugin of pytest, which `tests/conftest.py` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

REAL_TIMEOUT = 180.0
"""Seconds that a test marked `real` may take if it says nothing else, and if that is five times what it wants."""

T = TypeVar("T")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if isinstance(collector, pytest.Directory) and report.result:
        report.result = turned(report.result, *_place(collector.config))
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("real") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(max(REAL_TIMEOUT, 5 * seconds(item))))
    _, workers = _place(config)
    if workers > 1:
        items[:] = deal(found(items), workers)


def _place(config: pytest.Config) -> tuple[int, int]:
    """Which worker this is, and of how many."""
    told = getattr(config, "workerinput", {"workerid": "gw0", "workercount": 1})
    return int(told["workerid"].removeprefix("gw")), told["workercount"]


def turned(entries: list[T], worker: int, workers: int) -> list[T]:
    """What a folder holds, in an order that begins elsewhere for each worker.

    Each imports every test, and in a fresh tree nothing is compiled: those who begin at the same file all compile it,
    and all the rest after it; those who begin elsewhere find most of it compiled by others. `found` ends the turn.
    """
    first = len(entries) * worker // workers
    return entries[first:] + entries[:first]


def found(items: list[pytest.Item]) -> list[pytest.Item]:
    """The same order for every worker, as pytest has it: file by file, by their names."""
    return sorted(items, key=lambda item: item.path.parts)


def seconds(item: pytest.Item) -> float:
    """What the mark `real(seconds=…)` says that a test takes; 0 for a quick one."""
    mark = item.get_closest_marker("real")
    return float(mark.kwargs.get("seconds", 5)) if mark else 0.0


def deal(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The order in which `--dist worksteal` starts the longest tests first, and keeps those of a file together.

    It cuts the list into `workers` even parts, runs each from its front and steals from ends; so each part begins with
    its share of the long ones (`real(seconds=…)`), file by file: what is for all tests of a file is started once.
    """
    quick = [item for item in items if not seconds(item)]
    dealt: list[pytest.Item] = []
    for number, mine in enumerate(_shares([item for item in items if seconds(item)], workers)):
        size = (len(items) - len(dealt)) // (workers - number)
        take = max(0, size - len(mine))
        dealt += mine + quick[:take]
        del quick[:take]
    return dealt + quick


def _shares(long: list[pytest.Item], workers: int) -> list[list[pytest.Item]]:
    """File by file, the longest first, to whoever has least to do so far."""
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for file in sorted(_files(long, sum(map(seconds, long)) / workers), key=_sum, reverse=True):
        min(shares, key=_sum).extend(file)
    return shares


def _files(long: list[pytest.Item], most: float) -> list[list[pytest.Item]]:
    """The tests of each file, longest first; one that would take more than `most` seconds in several parts."""
    parts: list[list[pytest.Item]] = []
    at = None
    for item in sorted(long, key=lambda item: (item.nodeid.partition("::")[0], -seconds(item))):
        file = item.nodeid.partition("::")[0]
        if file != at or _sum(parts[-1]) + seconds(item) > most:
            parts.append([])
        at = file
        parts[-1].append(item)
    return parts


def _sum(items: list[pytest.Item]) -> float:
    return sum(map(seconds, items))
