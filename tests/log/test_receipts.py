"""Marks only go up, in whatever order they are told. (docs/protocol.md, 9.7)"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.log.cursor import Position
from gapless.log.receipts import Marks, format_mark, format_receipt, parse_marks, parse_receipt, read_marks

positions = st.none() | st.builds(
    Position, st.sampled_from(["t9x2k0aa", "t9x2k0ab"]), st.integers(1, 12), st.sampled_from(["aaaa", "bbbb"])
)
marks = st.builds(Marks, positions, positions)


@given(marks, marks)
def test_raising_is_never_down_and_reading_is_having(held: Marks, to: Marks) -> None:
    raised = held.raised(to)
    for before, after in zip(held, raised, strict=True):
        assert before is None or (after is not None and after[:2] >= before[:2])
    if to.read is not None:
        assert raised.delivered is not None
        assert raised.delivered[:2] >= to.read[:2]
    assert raised.raised(to) == raised


@given(st.lists(marks, max_size=6), st.randoms())
def test_in_any_order_it_is_as_far(several: list[Marks], dice: object) -> None:
    def climbed(order: list[Marks]) -> list[tuple[str, int] | None]:
        held = Marks()
        for one in order:
            held = held.raised(one)
        return [None if mark is None else mark[:2] for mark in held]

    other = list(several)
    dice.shuffle(other)  # type: ignore[attr-defined]
    assert climbed(other) == climbed(several)


@given(marks, st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128))
def test_a_notice_says_what_was_raised(held: Marks, user: str) -> None:
    assert parse_receipt(format_receipt(user, held)) == (user, held)
    assert parse_marks(format_mark(held.delivered), format_mark(held.read)) == held
    assert read_marks([user, f"{format_mark(held.delivered)} {format_mark(held.read)} 1", "", "1 2"]) == {user: held}


@pytest.mark.parametrize(
    "foreign", [b"!", b"!s x {}", b"!r - -", b"!r - - ", b"!r x - ann", b"!r - - a\nb", b"!r - -ann"]
)
def test_anything_else_says_nothing(foreign: bytes) -> None:
    assert parse_receipt(foreign) is None
