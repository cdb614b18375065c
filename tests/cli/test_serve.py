"""Who may come in, and what is said about it."""

from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from gapless.cli import serve as command
from gapless.cli import server
from gapless.cli.address import Address
from gapless.cli.serve import announce, leave, opened_store, refuse_open_world, run
from gapless.config.settings import Settings
from gapless.log.errors import StartupRefused
from gapless.stores.embedded.valkey import EmbeddedValkey
from tests.stores.embedded.use import private_folder, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = Address(socket.AF_INET, "127.0.0.1", 8000)
WORLD = Address(socket.AF_INET, "0.0.0.0", 8000)
KEYED = Settings(jwt_secret="0123456789abcdef" * 2)


def test_what_is_not_installed_is_refused_before_anything_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*_: object) -> NoReturn:
        raise AssertionError("it went on")

    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setenv("REDIS_URL", "redis://store.example")
    monkeypatch.setattr(signal, "signal", begin)
    with pytest.raises(StartupRefused, match="needs the package redis"):
        command.serve("127.0.0.1", 0, 1)


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
    announce(address, "a store", settings)
    assert capsys.readouterr().out.splitlines() == [
        "http://127.0.0.1:8000",
        f"  listening on {address.host}, port 8000",
        "  store: a store",
        f"  open to {whom}",
    ]


def test_a_store_is_described_without_its_password() -> None:
    with opened_store(Settings(redis_url="redis://ann:hunter2@example.com/1")) as described:
        assert described == "Redis at redis://example.com:6379/1"


def test_upstash_wins_and_that_is_said() -> None:
    upstash = {"upstash_url": "https://u.example.com", "upstash_token": "hunter2"}
    with opened_store(Settings(**upstash)) as described:
        assert described == "Upstash at https://u.example.com"
    with opened_store(Settings(**upstash, redis_url="redis://localhost")) as described:
        assert described == "Upstash at https://u.example.com (REDIS_URL is set too, and not used)"


@pytest.fixture
def signals() -> Iterator[None]:
    """Those that end the command, as the command hears them before the server runs; afterwards as they were."""
    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("code", [0, 143], ids=["after it served", "before it served"])
def test_a_second_signal_does_not_break_off_the_putting_away(
    code: int, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when `make run` and the service are ended by one signal to their group: make hands its own on."""

    def serves(*_: object) -> int:
        if code:
            signal.raise_signal(signal.SIGTERM)
        return code

    def stop(use: EmbeddedValkey) -> None:
        signal.raise_signal(number)
        put_away(use)

    put_away = EmbeddedValkey.stop
    monkeypatch.setattr(EmbeddedValkey, "stop", stop)
    monkeypatch.setattr(server, "run_here", serves)
    monkeypatch.setenv("REDIS_URL", "")  # is set by the command, and so taken back
    with private_folder() as folder, socket.socket() as listening:
        with pytest.raises(SystemExit) as ended, opened_store(Settings(data_dir=str(folder), redis_url=None)):
            assert len(servers(folder)) == 1
            raise SystemExit(run(listening, lambda: None, 1))
        assert (ended.value.code, servers(folder)) == (code, [])
