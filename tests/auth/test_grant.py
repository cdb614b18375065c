"""What a bearer may do is what his patterns cover, until his token would be refused."""

from __future__ import annotations

import pytest

from gapless.auth.grant import EVERYBODY, SKEW, Grant
from gapless.log.errors import Forbidden

NOW = 1_767_225_600.0


@pytest.mark.parametrize(
    ("patterns", "channel", "covered"),
    [
        (("a",), "a", True),
        (("a",), "ab", False),
        (("a*",), "ab", True),
        (("a.*",), "a", False),
        (("a.*",), "a.b", True),
        (("*",), "anything", True),
        (("b", "a"), "a", True),
        (("",), "a", False),
        (("*a",), "ba", False),
        (("a*c",), "abc", False),
        ((), "a", False),
    ],
)
def test_a_pattern_is_a_channel_or_the_beginning_of_one(patterns: tuple[str, ...], channel: str, covered: bool) -> None:
    for allowed in (Grant("ann", publish=patterns).must_publish, Grant("ann", subscribe=patterns).must_subscribe):
        try:
            allowed(channel) if allowed.__name__ == "must_publish" else allowed([channel])  # type: ignore[arg-type]
        except Forbidden as error:
            assert not covered
            assert channel in error.detail
        else:
            assert covered


def test_one_channel_too_many_is_too_many() -> None:
    reader = Grant("ann", subscribe=("a", "b"))
    reader.must_subscribe(["a", "b"])
    with pytest.raises(Forbidden, match="'c'"):
        reader.must_subscribe(["a", "b", "c"])


def test_reading_is_no_writing_and_neither_is_administering() -> None:
    with pytest.raises(Forbidden):
        Grant("ann", subscribe=("*",)).must_publish("a")
    with pytest.raises(Forbidden):
        Grant("ann", publish=("*",)).must_subscribe(["a"])
    for grant in (Grant("ann", ("*",), ("*",)), EVERYBODY):
        with pytest.raises(Forbidden):
            grant.must_administer()
    Grant("ann", admin=True).must_administer()


def test_a_grant_ends_when_its_token_would_be_refused() -> None:
    assert Grant("ann").seconds_left(NOW) is None
    assert Grant("ann", expires=NOW).seconds_left(NOW) == SKEW
    assert Grant("ann", expires=NOW).seconds_left(NOW + 1000) == 0
