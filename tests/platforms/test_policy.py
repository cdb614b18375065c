"""How long streams live and when their clients come back: before the platform's end, and not all at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.delivery.mode import Mode
from gapless.delivery.retry import jittered
from gapless.platforms.policy import LAMBDA, LAMBDA_ADAPTER, LAMBDA_ADAPTER_BUFFERED, SERVER, VERCEL, Policy, choose

random = st.floats(0, 1)
seconds = st.floats(0.2, 86_400)
remaining = st.none() | st.floats(-10, 1000)

SHORTEST = 0.05
"""What even a stream that came too late may live."""


@given(seconds, st.none() | seconds, st.floats(0, 5), remaining, random)
def test_a_stream_ends_before_its_setting_its_platform_and_its_ceiling(
    wanted: float, ceiling: float | None, reserve: float, left: float | None, chance: float
) -> None:
    lifetime = Policy("p", reserve=reserve, ceiling=ceiling).lifetime(wanted, left, chance)
    assert 0 < lifetime <= wanted
    assert ceiling is None or lifetime <= ceiling
    assert left is None or lifetime <= max(left - reserve, SHORTEST)


@given(seconds, remaining, random, random)
def test_ends_are_spread_over_the_last_fifth(wanted: float, left: float | None, a: float, b: float) -> None:
    longest = SERVER.lifetime(wanted, left, 1.0)
    early, late = sorted([a, b])
    assert longest * 0.8 <= SERVER.lifetime(wanted, left, early) <= SERVER.lifetime(wanted, left, late) <= longest
    assert SERVER.lifetime(wanted, left, 0.0) == pytest.approx(longest * 0.8)


@given(seconds)
def test_on_a_machine_of_ones_own_only_the_setting_counts(wanted: float) -> None:
    assert SERVER.lifetime(wanted, None, 1.0) == wanted
    assert (SERVER.mode, SERVER.freezes) == (Mode.STREAMING, False)


def test_a_platforms_deadline_is_met_with_time_to_spare() -> None:
    assert Policy("p", reserve=1.5).lifetime(240, 30, 1.0) == 28.5
    assert Policy("p", reserve=1.5, ceiling=25).lifetime(240, 30, 1.0) == 25


@given(st.floats(0, 25), remaining)
def test_a_request_waits_no_longer_than_it_wants_nor_into_its_platforms_end(wanted: float, left: float | None) -> None:
    patience = LAMBDA.patience(wanted, left)
    assert 0 <= patience <= min(wanted, 20)
    assert left is None or patience <= max(left - 1.5, 0)
    assert SERVER.patience(wanted, None) == wanted


def test_where_it_runs_is_said_by_what_the_platform_sets() -> None:
    adapter = {"AWS_LAMBDA_FUNCTION_NAME": "f"}
    assert choose({}) is SERVER and choose({"VERCEL": "", "AWS_REGION": "x"}) is SERVER
    assert choose(adapter) is LAMBDA_ADAPTER_BUFFERED
    assert choose(adapter | {"AWS_LWA_INVOKE_MODE": "buffered"}) is LAMBDA_ADAPTER_BUFFERED
    assert choose(adapter | {"VERCEL": "1"}) is VERCEL


@pytest.mark.parametrize("wrapper", [{}, {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap"}], ids=["image", "zip"])
@pytest.mark.parametrize("mode", ["response_stream", "RESPONSE_STREAM"])
def test_behind_the_web_adapter_it_streams_from_a_zip_and_from_an_image(wrapper: dict[str, str], mode: str) -> None:
    """In a container image the adapter is an extension, and no wrapper is named."""
    function = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LWA_INVOKE_MODE": mode}
    assert choose(function | wrapper) is LAMBDA_ADAPTER


def test_what_is_frozen_after_each_request_lets_nothing_linger() -> None:
    alone = [policy for policy in (SERVER, VERCEL, LAMBDA, LAMBDA_ADAPTER, LAMBDA_ADAPTER_BUFFERED) if policy.alone]
    assert alone == [LAMBDA, LAMBDA_ADAPTER, LAMBDA_ADAPTER_BUFFERED]
    assert all(policy.freezes for policy in [*alone, VERCEL])


@given(st.integers(1, 60_000), random)
def test_a_retry_is_never_zero_nor_earlier_than_set(milliseconds: int, chance: float) -> None:
    assert 1 <= milliseconds <= jittered(milliseconds, chance) <= milliseconds * 1.5 + 0.5


def test_retries_of_a_herd_are_spread_evenly() -> None:
    assert [jittered(1000, chance / 4) for chance in range(5)] == [1000, 1125, 1250, 1375, 1500]
    assert jittered(0, 0.0) == 1
