"""Standard input becomes lines and messages, whatever the pieces in which it comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gapless.cli.failure import Failed
from gapless.cli.lines import MOST_BYTES, MOST_MESSAGES, Form, Lines, batches


@given(some.lists(some.text(some.characters(exclude_characters="\r\n", codec="utf-8"))), some.data())
def test_lines_are_the_same_however_the_input_is_cut(lines: list[str], data: some.DataObject) -> None:
    whole = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(data.draw(some.lists(some.integers(0, len(whole)), max_size=5)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    reader = Lines()
    assert [line for piece in pieces for line in reader.feed(piece)] + reader.rest() == lines


def test_a_last_line_needs_no_end_and_an_end_may_be_that_of_windows() -> None:
    reader = Lines()
    assert (reader.feed(b"a\r\nb\rc\n\nd"), reader.rest()) == (["a", "b\rc", ""], ["d"])


@pytest.mark.parametrize(("piece", "said"), [(b"a\nbcdef", "line 2 is longer than 4"), (b"a\n\xff\n", "line 2 is no")])
def test_what_is_no_line_is_named_by_its_number(piece: bytes, said: str) -> None:
    with pytest.raises(Failed, match=said):
        Lines(4).feed(piece)


def test_a_line_is_a_text_or_data_whose_numbers_stay_as_they_are() -> None:
    text, data = Form("k"), Form("k", as_json=True, event="note", user="ann")
    assert json.loads(text.message(3, '"é"')) == {"data": '"é"', "localId": "k-3"}
    assert data.message(1, ' {"n": 1e15} ') == b'{"data":{"n": 1e15},"event": "note", "user": "ann", "localId": "k-1"}'


@pytest.mark.parametrize("line", ["{", "1 2", "NaN", "[" * 100_000])
def test_what_is_no_json_is_refused(line: str) -> None:
    with pytest.raises(Failed, match="line 7 is no JSON value"):
        Form("k", as_json=True).message(7, line)


def test_empty_lines_are_texts_but_no_json() -> None:
    assert len(Form("k").messages(1, ["a", "", " "])) == 3
    assert Form("k", as_json=True).messages(4, ["1", "", " "]) == [b'{"data":1,"localId": "k-4"}']


@given(some.lists(some.integers(1, MOST_BYTES * 2).map(bytes), max_size=20).map(lambda few: few * 20))
def test_batches_are_everything_in_order_and_bounded(messages: list[bytes]) -> None:
    made = [list(batch) for batch in batches(messages)]
    assert [message for batch in made for message in batch] == messages
    assert all(0 < len(batch) <= MOST_MESSAGES for batch in made)
    assert all(len(batch) == 1 or sum(map(len, batch)) + len(batch) <= MOST_BYTES for batch in made)
