"""Who may come in, and what is said about it."""

from __future__ import annotations

import socket

import pytest

from gapless.cli.address import Address
from gapless.cli.serve import _announce, _store, refuse_open_world
from gapless.config.settings import Settings
from gapless.log.errors import StartupRefused

LOOPBACK = Address(socket.AF_INET, "127.0.0.1", 8000)
WORLD = Address(socket.AF_INET, "0.0.0.0", 8000)
KEYED = Settings(jwt_secret="0123456789abcdef" * 2)


def test_without_keys_only_this_machine_may_come_in() -> None:
    refuse_open_world(LOOPBACK, Settings())
    with pytest.raises(StartupRefused, match=r"On 0\.0\.0\.0 anyone .*GAPLESS_JWT_SECRET.*GAPLESS_PUBLIC=true"):
        refuse_open_world(WORLD, Settings())
    refuse_open_world(WORLD, Settings(public=True))
    refuse_open_world(WORLD, KEYED)


@pytest.mark.parametrize(
    ("address", "settings", "whom"),
    [
        (LOOPBACK, Settings(), "this machine only, without keys"),
        (LOOPBACK, Settings(public=True), "everybody who can reach it, without keys (GAPLESS_PUBLIC=true)"),
        (WORLD, Settings(public=True), "everybody who can reach it, without keys (GAPLESS_PUBLIC=true)"),
        (WORLD, KEYED, "clients that have a token"),
    ],
)
def test_it_says_where_it_is_and_for_whom(
    address: Address, settings: Settings, whom: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(address, "a store", settings)
    assert capsys.readouterr().out.splitlines() == [
        "http://127.0.0.1:8000",
        f"  listening on {address.host}, port 8000",
        "  store: a store",
        f"  open to {whom}",
    ]


def test_a_store_is_described_without_its_password() -> None:
    with _store(Settings(redis_url="redis://ann:hunter2@example.com/1")) as described:
        assert described == "Redis at redis://example.com:6379/1"


def test_upstash_wins_and_that_is_said() -> None:
    upstash = {"upstash_url": "https://u.example.com", "upstash_token": "hunter2"}
    with _store(Settings(**upstash)) as described:
        assert described == "Upstash at https://u.example.com"
    with _store(Settings(**upstash, redis_url="redis://localhost")) as described:
        assert described == "Upstash at https://u.example.com (REDIS_URL is set too, and not used)"
