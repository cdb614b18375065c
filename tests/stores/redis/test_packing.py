"""Commands as bytes: in C the same as in Python."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Connection
from redis.utils import HIREDIS_AVAILABLE

from gapless.stores.redis import packing
from gapless.stores.redis.packing import pack_all

NAMES = st.sampled_from(["EVALSHA", "SCRIPT LOAD", b"GET"])
PARTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=20_000), st.integers(), st.floats()
)
COMMANDS = st.lists(st.tuples(NAMES, st.lists(PARTS)).map(lambda made: (made[0], *made[1])), max_size=4)


if HIREDIS_AVAILABLE:  # as on a server; functions go without

    @given(COMMANDS)
    def test_both_ways_say_the_same(commands: list[tuple[Any, ...]]) -> None:
        connection = Connection()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "pack_commands", None)
            in_c = b"".join(pack_all(connection, commands))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packing, "HIREDIS_AVAILABLE", False)
            assert b"".join(pack_all(connection, commands)) == in_c


def test_a_command_is_one_array_of_its_parts() -> None:
    assert b"".join(pack_all(Connection(), [("SET", "ü", 1)])) == b"*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xbc\r\n$1\r\n1\r\n"
