"""What the soak finds wrong with what a page shows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.soak.pages import wrong


def ids(*seqs: int, epoch: str = "t9x2k0ab") -> list[str]:
    return [f"{epoch}-{seq}-aaaa" for seq in seqs]


def rows(shown: Sequence[str], *gaps: int) -> list[dict[str, object]]:
    """`gaps`: the places before which one is shown."""
    return [{"id": id_, "gap": n in gaps} for n, id_ in enumerate(shown)]


LOG = ids(3, 4, 5, 6)
OTHER = ids(1, 2, epoch="t9x2k0ac")


@pytest.mark.parametrize(
    ("shown", "log"),
    [
        (rows(ids(1, 2, 3, 4, 5, 6)), LOG),
        (rows(ids(5, 6)), LOG),
        (rows(ids(1, 4, 5, 6), 1), LOG),
        (rows([*LOG, *OTHER], 4), OTHER),
    ],
    ids=["more than the log", "less", "a gap that is shown", "another history"],
)
def test_what_is_right(shown: list[dict[str, object]], log: list[str]) -> None:
    assert wrong(shown, log) is None


@pytest.mark.parametrize(
    "shown",
    [rows(ids(3, 5, 6)), rows(ids(3, 4, 4, 5, 6)), rows(ids(4, 3, 5, 6)), rows(ids(3, 4, 5)), rows([*LOG, *OTHER]), []],
    ids=["missing", "doubled", "reordered", "late", "another history untold", "nothing"],
)
def test_what_is_wrong(shown: list[dict[str, object]]) -> None:
    assert wrong(shown, LOG)
