"""Addresses: which are for this machine only, what to open, and what is said when they can't be had."""

from __future__ import annotations

import os
import socket

import pytest

from gapless.cli.address import UNREAD_MS, Address, listen, resolve
from gapless.log.errors import StartupRefused
from tests.testkit.need import need

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("address", "loopback", "url"),
    [
        (Address(V4, "127.0.0.1", 80), True, "http://127.0.0.1:80"),
        (Address(V4, "127.9.9.9", 80), True, "http://127.9.9.9:80"),
        (Address(V6, "::1", 80), True, "http://[::1]:80"),
        (Address(V4, "0.0.0.0", 80), False, "http://127.0.0.1:80"),
        (Address(V6, "::", 80), False, "http://[::1]:80"),
        (Address(V4, "192.0.2.1", 80), False, "http://192.0.2.1:80"),
        (Address(V6, "fe80::1%eth0", 80), False, "http://[fe80::1%eth0]:80"),
    ],
)
def test_what_an_address_is(address: Address, loopback: bool, url: str) -> None:
    assert address.loopback is loopback
    assert address.url == url


def test_names_are_resolved_ipv4_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(V6, None, 0, "", ("::1", 80, 0, 0)), (V4, None, 0, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert resolve("localhost", 80) == Address(V4, "127.0.0.1", 80)
    found.pop()
    assert resolve("localhost", 80) == Address(V6, "::1", 80)


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 300, "a b"])
def test_an_unknown_name_is_refused(host: str) -> None:
    with pytest.raises(StartupRefused, match=r"no address for the host .*--host or HOST"):
        resolve(host, 80)


def test_it_listens_at_once_and_knows_its_real_port() -> None:
    listening, address = listen(resolve("127.0.0.1", 0))
    with listening, socket.create_connection(("127.0.0.1", address.port)):
        assert address.port == listening.getsockname()[1] != 0


def test_a_port_is_free_again_after_connections_were_open() -> None:
    listening, address = listen(resolve("127.0.0.1", 0))
    with socket.create_connection((address.host, address.port)), listening:
        listening.accept()[0].close()  # the side that closes first is left in TIME_WAIT
    again, _ = listen(address)
    again.close()


def test_readers_that_never_read_are_cut_off_by_the_kernel() -> None:
    need(hasattr(socket, "TCP_USER_TIMEOUT"), "Linux, for TCP_USER_TIMEOUT")
    listening, address = listen(resolve("127.0.0.1", 0))
    with listening, socket.create_connection((address.host, address.port)):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNREAD_MS == 30_000


def test_a_port_in_use_is_refused_with_a_way_out() -> None:
    listening, address = listen(resolve("127.0.0.1", 0))
    other = address.port + 1
    with listening, pytest.raises(StartupRefused, match=rf"in use.*PORT={other} make run.*--port {other}"):
        listen(address)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartupRefused, match=r"192\.0\.2\.1 is no address of this machine"):
        listen(resolve("192.0.2.1", 0))


def test_a_port_of_the_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root it would be given: then the kernel's answer is imitated."""
    bound = 0

    def refuse(*_: object) -> None:
        nonlocal bound
        bound += 1
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(StartupRefused, match=r"not listen on port 80\. Choose one above 1023"):
        listen(resolve("127.0.0.1", 80))
    assert bound == 1
