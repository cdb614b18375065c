"""Numbers stay as they were written, in any JSON, and what surrounds them is stored as before."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gapless.api.schemas import Message, drafts_of, read_messages
from gapless.api.spelling import data_as_written
from gapless.log.errors import Unprocessable
from tests.testkit import strategies as some
from tests.testkit.calls import calls

NUMBERS = ["1e15", "1E15", "0.10", "-0", "-0.0", "1.0", "1e+2", "1E-400", "12345678901234567890", "0e99999", "1.7e308"]
NUMBER = re.compile(r'("(?:[^"\\]|\\.)*")|(-?[0-9.eE+-]+)')


def numbers_of(text: str) -> list[str]:
    return [number for _, number in NUMBER.findall(text) if number]


def body(raw: str) -> bytes:
    (message,), _ = read_messages(raw.encode(), 100)
    return message.draft(None).body


def stored(data: str) -> str:
    whole = body(f'{{"data":{data}}}').decode()
    return whole.removeprefix('{"event":"message","user":null,"data":').removesuffix(',"localId":null}')


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_stored_as_it_was_written(number: str) -> None:
    assert stored(number) == number
    assert stored(f'[{number} ,{{"a" :\t{number}}} ]') == f'[{number},{{"a":{number}}}]'


def test_nothing_swells() -> None:
    data = f"[{','.join(['1e15'] * 26_000)}]"
    assert stored(data) == data


SWOLLEN = {
    "fractions": "1.5," * 30_000,
    "large": "1e200," * 20_000,
    "whole": "1234," * 25_000,
    "escapes": '"\\n",' * 24_000,
    "spaces": '"a" , ' * 20_000,
    "names": "".join(f'{{"{number}":-0}},' for number in range(9_000)),
}


@pytest.mark.parametrize("inner", SWOLLEN.values(), ids=SWOLLEN)
def test_no_function_is_called_for_each_number_or_text(inner: str) -> None:
    """Of some hundred kilobytes, that would hold up everybody else for as long as a hundred posts take."""
    raw = f'{{"data":[0.0,{inner}0]}}'.encode()
    with calls() as made:
        messages, _ = read_messages(raw, 100)
        drafts_of(messages, len(raw))
    assert made.count < 200


written = st.sampled_from(NUMBERS) | st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)
spaces = st.text(" \t\r\n", max_size=2)


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """JSON in any spelling, with white space anywhere."""
    kind = draw(st.integers(0, 4 if depth else 2))
    if kind <= 1:
        inner = draw(written)
    elif kind == 2:
        inner = json.dumps(draw(some.texts), ensure_ascii=draw(st.booleans()))
    else:
        parts = draw(st.lists(documents(depth - 1), max_size=3))
        if kind == 3:
            inner = f"[{','.join(parts)}]" if parts else f"[{draw(spaces)}]"
        else:
            names = [json.dumps(draw(some.texts) + str(n)) for n in range(len(parts))]
            inner = (
                "{" + ",".join(f"{name}{draw(spaces)}:{part}" for name, part in zip(names, parts, strict=True)) + "}"
            )
    return draw(spaces) + inner + draw(spaces)


@given(documents(), spaces)
def test_any_document_keeps_its_numbers_and_its_worth(document: str, space: str) -> None:
    raw = f'{{{space}"user"{space}:{space}"1.0 \\" data"{space},"data":{document}}}{space}'
    line = body(raw).decode()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["data"] == json.loads(document)
    assert numbers_of(json.dumps(json.loads(line, parse_float=str, parse_int=str))) == []
    assert json.loads(line, parse_float=str, parse_int=str)["data"] == json.loads(
        document, parse_float=str, parse_int=str
    )


@given(some.json_values, st.booleans())
@example(["\x85\u2028", {"a": '\\" 1.5 \\u0041 , '}], True)
def test_texts_stay_as_they_were_written_and_white_space_goes(data: Any, ascii: bool) -> None:
    raw = json.dumps({"data": [data, 0.5]}, ensure_ascii=ascii, indent=1).encode()
    dense = json.dumps([data, 0.5], ensure_ascii=ascii, separators=(",", ":")).encode()
    assert data_as_written(raw) == [dense]


def test_usual_bodies_are_not_looked_at_again() -> None:
    assert data_as_written(b'{"data":{"n":12345678901234567890,"text":"a - b. c"}}') is None


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ('{"data":1.0,"data":2.0}', ["2.0"]),
        ('{"d\\u0061ta":1.50}', ["1.50"]),
        ('{"localId":"data","data":[1.0],"user":"\\"data\\":2.0"}', ["[1.0]"]),
        (' [ {"data":1.0} , {"user":"a","data":-0}, {"data":{"data":3e1}} ] ', ["1.0", "-0", '{"data":3e1}']),
        ('{"data":{"a":1.0,"a":2.0}}', ['{"a":1.0,"a":2.0}']),
    ],
)
def test_whose_data_it_is(raw: str, told: list[str]) -> None:
    assert data_as_written(raw.encode()) == [one.encode() for one in told]
    messages, _ = read_messages(raw.encode(), 100)
    assert [json.loads(one) for one in told] == [message.data for message in messages]


VAST = [
    "1e400",
    "-1e309",
    "9" * 309,
    "-" + "9" * 400,
    "9" * 300 + "e20",
    "1" + "0" * 4000,
    "9" * 200 + "e150",
    "9" * 400 + ".5",
]


@pytest.mark.parametrize("number", VAST, ids=range(len(VAST)))
@pytest.mark.parametrize("form", ['{"data":%s}', '[{"data":1},{"data":[{"a":[%s]}]}]'])
def test_what_no_double_holds_is_refused(number: str, form: str) -> None:
    with pytest.raises(Unprocessable, match=r"^data: a number is too large"):
        read_messages((form % number).encode(), 100)


@pytest.mark.parametrize(
    "number", ["1" + "0" * 308, "1e308", "17976931348623157" + "0" * 292, "1e-999", "0." + "0" * 400 + "1"]
)
def test_what_a_double_holds_is_taken(number: str) -> None:
    assert stored(number) == number


# --- contents are told apart by their values


def digest(data: str) -> str:
    (message,), _ = read_messages(f'{{"data":{data}}}'.encode(), 100)
    return message.draft(None).digest


@pytest.mark.parametrize(
    "same", [("1e2", "100.0", " 1E+2"), ("0.10", "0.1"), ("[1,\n2]", "[1,2]"), ('"\\u0061"', '"a"')]
)
def test_another_spelling_is_the_same_content(same: tuple[str, ...]) -> None:
    assert len(set(map(digest, same))) == 1


@pytest.mark.parametrize(
    "apart", [("1", "1.0"), ("12345678901234567890", "12345678901234567891"), ("0.1", "0.11"), ("1e2", '"1e2"')]
)
def test_other_numbers_are_other_content(apart: tuple[str, str]) -> None:
    assert digest(apart[0]) != digest(apart[1])


def test_a_message_keeps_its_spelling_under_another_user() -> None:
    (message,), _ = read_messages(b'{"data":1.00,"user":"ann"}', 100)
    draft = message.model_copy(update={"user": "bob"}).draft("bob")
    assert draft.body == b'{"event":"message","user":"bob","data":1.00,"localId":null}'
    assert draft.digest == Message(data=1.0, user="bob").draft("bob").digest


@given(
    st.lists(
        st.sampled_from([*b"0-.eE,x "]).map(lambda one: bytes([one])) | st.integers(305, 312).map(lambda n: b"7" * n)
    )
)
@example([b"-", b"7" * 308])
@example([b"-", b"7" * 309])
def test_what_may_be_written_otherwise_is_found(parts: list[bytes]) -> None:
    """The search is made for speed; this is what it means."""
    plain = re.compile(rb"[0-9][.eE]|-0|[0-9]{309}")
    raw = b'{"user":"%b","data":0}' % b"".join(parts)
    assert (data_as_written(raw) is not None) == bool(plain.search(raw))
