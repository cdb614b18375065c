"""The header Idempotency-Key: quoted and unquoted ones, and which key counts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.api.idempotency import PATTERN, HeaderKey, batch_key, keyed, read_key
from gapless.api.schemas import Message
from gapless.log.errors import Unprocessable

HEADERS = {
    "4f": HeaderKey("4f", quoted=False),
    '"4f"': HeaderKey("4f", quoted=True),
    r'"a\"b\\c"': HeaderKey(r'a"b\c', quoted=True),
    '"' + "x" * 128 + '"': HeaderKey("x" * 128, quoted=True),
    '"' + r"\"" * 128 + '"': HeaderKey('"' * 128, quoted=True),
    # None of these is a string of RFC 8941, so they are what they are.
    '"': HeaderKey('"', quoted=False),
    '"4f': HeaderKey('"4f', quoted=False),
    'a"b"': HeaderKey('a"b"', quoted=False),
    '"a"b"': HeaderKey('"a"b"', quoted=False),
    r'"a\b"': HeaderKey(r'"a\b"', quoted=False),
    '"ä"': HeaderKey('"ä"', quoted=False),
    "": None,
    '""': None,
}


@pytest.mark.parametrize(("header", "key"), HEADERS.items())
def test_what_a_header_holds(header: str, key: HeaderKey | None) -> None:
    assert read_key(header) == key
    assert re.search(PATTERN, header)


def test_no_header() -> None:
    assert read_key(None) is None


@pytest.mark.parametrize("header", ["x" * 129, '"' + "x" * 129 + '"', "a\tb", "\x7f", '"a\x1f"'])
def test_what_is_no_key(header: str) -> None:
    with pytest.raises(Unprocessable):
        read_key(header)
    assert not re.search(PATTERN, header)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=128))
def test_every_string_survives_its_quotes(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert read_key(f'"{quoted}"') == HeaderKey(text, quoted=True)


def test_whose_key_counts() -> None:
    own = Message(data=1, localId="own")
    assert keyed(own, HeaderKey("4f", quoted=True)).localId == "own"
    assert keyed(own, HeaderKey("own", quoted=False)).localId == "own"
    assert keyed(Message(data=1), HeaderKey("4f", quoted=True)).localId == "4f"
    with pytest.raises(Unprocessable):
        keyed(own, HeaderKey("4f", quoted=False))


def test_what_keys_a_batch() -> None:
    own, bare = Message(data=1, localId="own"), Message(data=2)
    quoted, plain = HeaderKey("4f", quoted=True), HeaderKey("4f", quoted=False)
    assert batch_key([own], quoted) is None
    assert batch_key([own, bare], quoted) == "4f"
    assert batch_key([own], plain) == "4f"
    assert batch_key([bare], None) is None
