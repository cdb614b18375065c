"""Waiting ends when the condition is true, and loudly when it is not."""

from __future__ import annotations

from itertools import count

import pytest

from tests.testkit.alarm import Alarm, auntil, until


def test_returns_the_first_true_value() -> None:
    numbers = count()
    assert until(lambda: next(numbers) // 3, "a third number") == 1


def test_alarm_names_what_was_waited_for_and_what_was_seen() -> None:
    with pytest.raises(Alarm, match=r"not within 0\.02 s: never \(last seen: ''\)"):
        until(str, "never", alarm=0.02)


@pytest.mark.virtual_time
async def test_async_takes_plain_and_async_checks() -> None:
    numbers = count()

    async def third() -> int:
        return next(numbers) // 3

    assert await auntil(third, "a third number") == 1
    assert await auntil(lambda: next(numbers), "a number") == 4


@pytest.mark.virtual_time
async def test_async_alarm() -> None:
    with pytest.raises(Alarm, match="not within 60 s: never"):
        await auntil(lambda: False, "never", alarm=60)
