"""What the faults decide, chunk by chunk, without a socket."""

from __future__ import annotations

import pytest

from tests.testkit.fault_proxy import (
    Blackhole,
    Cut,
    Delay,
    DropReply,
    FaultProxy,
    Freeze,
    Jitter,
    MidFrame,
    Reset,
    Trickle,
)
from tests.testkit.fault_strikes import Strikes


@pytest.fixture
def proxy() -> FaultProxy:
    """One that never listens: only for arming."""
    return FaultProxy("nowhere", seed=1)


def test_latencies_add_up(proxy: FaultProxy) -> None:
    armed = [proxy.arm(Delay(10)), proxy.arm(Delay(20), direction="up"), proxy.arm(Jitter(1, 2))]
    strikes = Strikes(0, armed)
    drawn = [strikes.latency("up") for _ in range(50)]
    assert all(31 <= late <= 32 for late in drawn)
    assert len(set(drawn)) == 50
    assert 11 <= strikes.latency("down") <= 12
    assert [one.hits for one in armed] == [51, 50, 51]
    again = FaultProxy("nowhere", seed=1)
    same = Strikes(0, [again.arm(Delay(10)), again.arm(Delay(20)), again.arm(Jitter(1, 2))])
    assert [same.latency("up") for _ in range(50)] == drawn


def test_the_end_falls_into_a_black_hole_without_a_hit(proxy: FaultProxy) -> None:
    hole = proxy.arm(Blackhole())
    strikes = Strikes(0, [hole])
    assert strikes.falls("up", arrived=False)
    assert hole.hits == 0
    assert strikes.falls("down")
    assert strikes.falls("down")
    assert hole.hits == 1


def test_what_fell_in_stays_in_both_ways(proxy: FaultProxy) -> None:
    hole = proxy.arm(Blackhole(), times=1)
    first, second = Strikes(0, [hole]), Strikes(1, [hole])
    assert first.falls("up")
    assert not second.falls("up")
    hole.disarm()
    assert first.falls("down")


def test_frozen_until_it_is_lifted_however_often_it_may_strike(proxy: FaultProxy) -> None:
    freeze = proxy.arm(Freeze(), times=1)
    first, second = Strikes(0, [freeze]), Strikes(1, [freeze])
    assert [first.frozen(way) for way in ("up", "down", "up")] == [freeze] * 3
    assert second.frozen("up") is None
    freeze.disarm()
    assert first.frozen("up") is None
    assert freeze.hits == 1


def test_a_request_is_known_though_it_comes_in_pieces(proxy: FaultProxy) -> None:
    drop = DropReply(b"INCR")
    strikes = Strikes(0, [proxy.arm(drop)])
    for piece in (b"PING IN", b"C", b"Q", b"IN"):
        strikes.ask(piece)
    assert strikes.dropping is None
    strikes.ask(b"CR n")
    assert strikes.dropping == drop
    assert strikes.dropped() == "fin"


def test_a_reply_that_never_comes_leaves_its_turn_to_another(proxy: FaultProxy) -> None:
    armed = proxy.arm(DropReply(reset=True), times=1)
    first, second, third = (Strikes(index, [armed]) for index in range(3))
    first.ask(b"x")
    second.ask(b"x")
    assert first.dropping
    assert not second.dropping
    first.let_go()
    second.ask(b"x")
    assert second.dropped() == "rst"
    third.ask(b"x")
    assert not third.dropping
    assert armed.hits == 1


@pytest.mark.parametrize("sizes", [[3], [2, 1], [1, 1, 1], [2, 5], [9]])
def test_exactly_so_many_bytes_pass(proxy: FaultProxy, sizes: list[int]) -> None:
    armed = proxy.arm(MidFrame(after=3))
    strikes = Strikes(0, [armed])
    results = [strikes.torn("down", bytes(size)) for size in sizes]
    assert sum(len(passed) for passed, _ in results) == 3
    assert [how for _, how in results] == [None] * (len(sizes) - 1) + ["fin"]
    assert strikes.torn("up", b"x") == (b"x", None)
    assert armed.hits == 1


def test_none_may_pass(proxy: FaultProxy) -> None:
    assert Strikes(0, [proxy.arm(MidFrame(after=0, reset=True))]).torn("down", b"xyz") == (b"", "rst")


def test_a_pattern_of_one_byte(proxy: FaultProxy) -> None:
    strikes = Strikes(0, [proxy.arm(MidFrame(at=b"3"))])
    assert [strikes.torn("down", chunk) for chunk in (b"12", b"345")] == [(b"12", None), (b"3", "fin")]


def test_one_throw_of_the_dice_for_a_connection(proxy: FaultProxy) -> None:
    hole = proxy.arm(Blackhole(), probability=0.5)
    fallen: list[bool] = []
    for index in range(60):
        strikes = Strikes(index, [hole])
        decided = {strikes.falls("up" if chunk % 2 else "down") for chunk in range(20)}
        assert len(decided) == 1
        fallen += decided
    assert 15 <= sum(fallen) <= 45


def test_a_throw_for_every_chunk(proxy: FaultProxy) -> None:
    for fault in (Cut(), Reset(), Trickle(1, 1)):
        armed = proxy.arm(fault, probability=0.5, direction="down")
        strikes = Strikes(0, [armed])
        for _ in range(60):
            strikes.struck("down")
            strikes.trickle("down")
        assert 15 <= armed.hits <= 45
        assert (strikes.struck("up"), strikes.trickle("up")) == (None, None)


def test_cut_comes_before_reset(proxy: FaultProxy) -> None:
    armed = [proxy.arm(Reset(), times=1), proxy.arm(Cut(), times=1)]
    strikes = Strikes(0, armed)
    assert [strikes.struck("up") for _ in range(3)] == ["fin", "rst", None]


def test_of_two_rates_the_first_armed_counts(proxy: FaultProxy) -> None:
    first, second = proxy.arm(Trickle(1, 1), times=1), proxy.arm(Trickle(2, 2))
    strikes = Strikes(0, [first, second])
    assert [strikes.trickle("down"), strikes.trickle("down")] == [first.fault, second.fault]
