"""Each worker begins with its share of the long tests, and those of a file stay together."""

from __future__ import annotations

import pytest

from tests.testkit.dealing import deal, turned


class Item:
    """As much of a collected test as `deal` looks at."""

    def __init__(self, nodeid: str, seconds: float | None = None) -> None:
        self.nodeid = nodeid
        self.mark = None if seconds is None else pytest.mark.real(seconds=seconds).mark

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.mark


def parts(items: list[Item], workers: int) -> list[list[str]]:
    """What each worker begins with, as xdist's worksteal cuts what was dealt."""
    dealt = [item.nodeid for item in deal(items, workers)]  # type: ignore[arg-type]
    assert sorted(dealt) == sorted(item.nodeid for item in items)
    found = []
    for left in range(workers, 0, -1):
        size = len(dealt) // left
        found.append(dealt[:size])
        del dealt[:size]
    return found


def test_each_worker_finds_all_tests_and_begins_elsewhere() -> None:
    files = [*"abcdefg"]
    orders = [turned(files, worker, 3) for worker in range(3)]
    assert [sorted(order) for order in orders] == [files] * 3
    assert [order[0] for order in orders] == [*"ace"]
    assert turned(files, 0, 1) == files
    assert turned(["a"], 2, 3) == ["a"]


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_each_worker_begins_with_its_share_of_the_long_ones(workers: int) -> None:
    items = [Item(f"quick.py::test{n}") for n in range(20)]
    for n, seconds in enumerate((5, 60, 1, 40, 30, 7)):
        items.insert(n * 3, Item(f"long{seconds}.py::test", seconds))
    firsts = [part[0] for part in parts(items, workers)]
    assert firsts == [f"long{seconds}.py::test" for seconds in (60, 40, 30, 7)][:workers]


def test_the_long_ones_of_a_file_stay_together() -> None:
    items = [Item(f"{name}.py::test{n}", 5) for n in range(4) for name in "abcd"]
    items += [Item(f"quick.py::test{n}") for n in range(30)]
    for part in parts(items, 2):
        files = [nodeid.partition("::")[0] for nodeid in part if not nodeid.startswith("quick")]
        assert files == sorted(files)
        assert len(set(files)) == 2


def test_a_file_that_is_longer_than_a_share_is_divided() -> None:
    items = [Item(f"a.py::test{n}", 5) for n in range(8)] + [Item(f"quick.py::test{n}") for n in range(8)]
    assert [sum(nodeid.startswith("a.py") for nodeid in part) for part in parts(items, 2)] == [4, 4]
