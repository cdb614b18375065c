"""The doctor's channel is one that the token covers, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.cli.doctor.channel import QUIET, claims_of, is_admin, own_channel, patterns
from tests.testkit.forge import hs256


@pytest.mark.parametrize(
    ("publish", "subscribe", "name"),
    [
        (["*"], ["*"], "gapless-doctor.12345678"),
        (["gapless-doctor.*"], ["*"], "gapless-doctor.12345678"),
        (["a", "chat.*"], ["*"], "chat.doctor-12345678"),
        (["chat.*", "room:*"], ["room:*"], "room:doctor-12345678"),
        (["a"], ["a"], "gapless-doctor.12345678"),
        ([], ["*"], "gapless-doctor.12345678"),
        (["x" * 60 + "*"], ["*"], "gapless-doctor.12345678"),
    ],
)
def test_it_is_covered_where_any_such_name_is(publish: list[str], subscribe: list[str], name: str) -> None:
    claims = {"gapless": {"publish": publish, "subscribe": subscribe}}
    assert own_channel(claims, "12345678") == name
    assert len(name + QUIET) <= 64


@pytest.mark.parametrize("claims", [None, {}, {"gapless": 1}, {"gapless": {"publish": "*"}}, {"gapless": {}}])
def test_claims_that_say_nothing_are_none(claims: Any) -> None:
    assert own_channel(claims, "12345678") == "gapless-doctor.12345678"
    assert (patterns(claims, "publish"), is_admin(claims)) == ([], False)


def test_claims_are_read_without_the_key() -> None:
    assert claims_of(hs256({"alg": "HS256"}, {"sub": "ann"}, "key")) == {"sub": "ann"}
    assert [claims_of(text) for text in (None, "", "a.b.c", "a", "a.MQ.c", "a.\xe9.c")] == [None] * 6
