"""The order in which several workers find and start the tests: the longest first, those of a file together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pytest

T = TypeVar("T")


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
