"""REDIS_URL as people have it: understood, or refused in one sentence that shows no password."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gapless.config.startup import BadSetting, read_settings
from gapless.log.errors import StartupRefused
from gapless.stores.redis.store import RedisStore
from gapless.stores.redis.url import Place, read_url
from gapless.stores.scripts import Layout
from tests.testkit.valkey import start_valkey

NONE = (("ssl_cert_reqs", "none"), ("ssl_check_hostname", False))
PLACES = {
    "redis://": Place(),
    "localhost:6379": Place(),
    " host:7/3 ": Place("host", 7, database=3),
    ":secret@host": Place("host", password="secret"),
    "REDIS://host": Place("host"),
    "valkey://host:7": Place("host", 7),
    "valkeys://ann:secret@host/2": Place("host", tls=True, database=2, username="ann", password="secret"),
    "redis://[2001:db8::1]:7/1": Place("2001:db8::1", 7, database=1),
    "rediss://host?ssl_cert_reqs=CERT_NONE": Place("host", tls=True, options=NONE),
    "rediss://host:7/1?ssl_cert_reqs=none": Place("host", 7, tls=True, database=1, options=NONE),
    "redis://host?ssl=true&ssl_cert_reqs=required": Place("host", tls=True, options=(("ssl_cert_reqs", "required"),)),
    "redis://host?decode_responses=True&socket_timeout=5&family=0": Place("host"),
    "redis://host?db=4&max_connections=5": Place("host", database=4, most=5),
    "redis://host/1?password=a@b": Place("host", database=1, password="a@b"),
    "redis://:se%23cr%2Fet%40@host": Place("host", password="se#cr/et@"),
    "redis://:100%sure+more@host": Place("host", password="100%sure+more"),
    "redis://ann:4711/x@host:7": Place("host", 7, username="ann", password="4711/x"),
    "redis://:4711?x@host": Place("host", password="4711?x"),
    "redis://:se#c@re?t/@host:7/1": Place("host", 7, database=1, password="se#c@re?t/"),
    "unix:///run/valkey.sock": Place(path="/run/valkey.sock"),
    "redis+socket://ann:secret@/run/valkey.sock?db=3": Place(
        path="/run/valkey.sock", database=3, username="ann", password="secret"
    ),
}
REFUSED = {
    "http://host": "REST URL",
    "redis-sentinel://host/0": "Sentinel",
    "foo://host": "'foo://'",
    "redis-cli -u redis://:hunter2@host": "is no URL",
    '"redis://host"': "quotes",
    "redis://host:port": "can't be read",
    "redis://host:70000": "port",
    "redis://host/hunter2": "can't be read",
    "redis://[::1": "can't be read",
    "redis://host?colour=blue": "'colour'",
    "redis://host?max_connections=0": "'max_connections'",
    "redis://host?ssl_cert_reqs=none": "'ssl_cert_reqs', which needs rediss",
    "rediss://host?ssl_cert_reqs=maybe": "'ssl_cert_reqs'",
    "rediss://host?ssl_check_hostname=hunter2": "'ssl_check_hostname'",
    "rediss://host?ssl_ca_certs=/nowhere/hunter2": "'ssl_ca_certs'",
    "unix://hunter2": "names no socket",
}


@pytest.mark.parametrize("url", PLACES)
def test_what_people_have_is_understood(url: str) -> None:
    assert read_url(url) == PLACES[url]


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_not_is_refused_in_a_sentence_that_names_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(BadSetting) as refusal:
        read_settings()
    told = str(refusal.value)
    assert told.startswith("REDIS_URL ") and REFUSED[url] in told and told.endswith(".")
    assert "hunter2" not in told


SECRET = "hunter2,S3cr3t"


@given(
    st.text("/?#@:%[]&= 5", max_size=6), st.text("/?#@:%[]&= 5", max_size=6), st.sampled_from(("@host", "@host:1", ""))
)
@example("", "", "")
@example("", "/", "@host")
@example("5", "#", "@host:1")
def test_whatever_stands_in_a_password_it_is_not_shown(before: str, after: str, host: str) -> None:
    """Whole or in part, in the place's name or in the refusal."""
    for scheme in ("redis://", "unix://"):
        try:
            shown = read_url(f"{scheme}user:{before}{SECRET}{after}{host}").name
        except StartupRefused as refusal:
            shown = str(refusal)
        assume(host or "@" not in before + after)  # what follows the last @ is the host
        assume(scheme != "unix://" or "/" not in before + after)  # what follows the slash is the socket's path
        assert not any(part in shown for part in ("hunter2", "S3cr3t"))


def test_a_name_has_no_user_and_no_password() -> None:
    assert read_url("rediss://:se%2Fcret@[2001:db8::1]:6380/0?db=1").name == "Redis at rediss://[2001:db8::1]:6380/1"
    assert read_url("unix://ann:secret@/run/valkey.sock").name == "Redis at /run/valkey.sock"


@pytest.mark.parametrize("password", ["plain", "a@b/c?d#e", "100%sure", "ä+ö %41"])
@pytest.mark.parametrize("option", ["", "?decode_responses=True&max_connections=2&client_name=me"])
async def test_the_server_is_entered(tmp_path: Path, password: str, option: str) -> None:
    with start_valkey(tmp_path, port=None, unixsocket=False) as valkey:
        valkey.cli("ACL", "SETUSER", "ann", "on", f">{password}", "~*", "&*", "+@all")
        encoded = password.replace("%", "%25")
        store = RedisStore(f"valkey://ann:{encoded}@127.0.0.1:{valkey.port}/3{option}", _layout, page=50)
        await store.ping()
        await store.close()


def _layout(database: int) -> Layout:
    assert database == 3
    return Layout("gapless", database, 20, 3600)
