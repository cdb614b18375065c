"""What the environment says, or which variable to put right, and never a secret."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from gapless.config.settings import Settings
from gapless.config.startup import BadSetting, must_work, read_settings, warn
from gapless.log.errors import StartupRefused
from gapless.platforms.policy import VERCEL

LONG = "0123456789abcdef" * 2


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_CAP", "50")
    monkeypatch.setenv("REDIS_URL", "")
    settings = read_settings()
    assert settings.cap == 50
    assert settings.redis_url is None


def test_each_wrong_variable_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"GAPLESS_CAP": "5", "GAPLESS_LIFETIME": "long", "GAPLESS_PUBLIC": "maybe", "GAPLESS_PREFIX": "{}"}
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting) as refusal:
        read_settings()
    lines = str(refusal.value).splitlines()
    assert {line.split(":")[0]: line.rpartition("(it is ")[2] for line in lines} == {
        name: f"'{value}')." for name, value in wrong.items()
    }
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"),
        ("UPSTASH_REDIS_REST_TOKEN", "UPSTASH_REDIS_REST_URL"),
        ("KV_REST_API_URL", "UPSTASH_REDIS_REST_TOKEN"),
    ],
)
def test_half_an_upstash_is_refused(given: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(given, "https://ann:hunter2@example.com")
    with pytest.raises(BadSetting, match=missing) as refusal:
        read_settings()
    assert "hunter2" not in str(refusal.value)


def test_an_origin_that_can_never_match_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_ORIGINS", "https://a.example, app.example.com")
    with pytest.raises(BadSetting, match=r"^GAPLESS_ORIGINS: 'app\.example\.com' has no scheme; an origin looks like"):
        read_settings()


# --- secrets


@pytest.mark.parametrize("name", ["GAPLESS_JWT_SECRET", "GAPLESS_JWT_SECRET_OLD", "GAPLESS_TICKET_SECRET"])
@pytest.mark.parametrize("short", ["hunter2", "x" * 31, "x" * 31 + "\n", f"'{'x' * 31}'", " " * 40])
def test_a_secret_that_is_too_short_is_refused_with_its_length(
    name: str, short: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_JWT_SECRET", LONG)
    monkeypatch.setenv(name, short)
    with pytest.raises(BadSetting, match=rf"^{name}: it has \d+ characters, and needs 32, such as `openssl") as refused:
        read_settings()
    assert short not in str(refused.value)


@pytest.mark.parametrize("name", ["GAPLESS_JWT_SECRET", "GAPLESS_TICKET_SECRET", "GAPLESS_JWT_AUDIENCE"])
@pytest.mark.parametrize(
    ("value", "why"), [(f"{LONG}\n", "a new line"), (f" {LONG}", "a blank"), (f'"{LONG}"', "in quotes"), (LONG, "")]
)
def test_what_surrounds_a_value_by_mistake_is_named(
    name: str, value: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    warn({name: value})
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == bool(why)
    for line in lines:
        assert line.startswith(f"{name} ") and why in line and LONG not in line


@pytest.mark.parametrize(
    "key", ["-----BEGIN PUBLIC KEY-----\n" + "x" * 90, "ssh-rsa " + "A" * 90, "ecdsa-sha2-nistp256 " + "A" * 90]
)
def test_a_key_of_a_pair_is_no_secret(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody knows a public one; and no token that was signed with either would ever have been honoured."""
    monkeypatch.setenv("GAPLESS_JWT_SECRET", key)
    with pytest.raises(BadSetting, match=r"^GAPLESS_JWT_SECRET: it is a key of a pair.*GAPLESS_JWKS_URL") as refused:
        read_settings()
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["GAPLESS_JWT_SECRET", "GAPLESS_JWKS_URL", "GAPLESS_JWT_AUDIENCE", "GAPLESS_JWT_ISSUER"]
)
def test_what_keeps_people_out_and_is_empty_is_named(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """`GAPLESS_JWT_AUDIENCE=$AUDIENCE`, where there is no such variable."""
    warn({name: "", "GAPLESS_CAP": ""})
    assert [record.getMessage() for record in caplog.records] == [f"{name} has no value, which counts as not set."]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://issuer.example/keys", 1),
        ("https://issuer.example/keys", 0),
        ("http://localhost:1/", 0),
        ("http://[::1]/", 0),
    ],
)
def test_keys_that_come_in_plain_text_are_named(url: str, said: int, caplog: pytest.LogCaptureFixture) -> None:
    warn({"GAPLESS_JWKS_URL": url})
    assert len(caplog.records) == said
    assert url not in caplog.text


def test_an_old_secret_follows_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_JWT_SECRET_OLD", LONG)
    with pytest.raises(BadSetting, match="GAPLESS_JWT_SECRET, which follows it, is not"):
        read_settings()


@pytest.mark.parametrize(
    "url", ["issuer.example", "ftp://a.example", "https://", "http://[", "https://a b", '"https://a"']
)
def test_an_address_of_keys_that_is_none_is_refused_and_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_JWKS_URL", url)
    with pytest.raises(BadSetting, match=r"^GAPLESS_JWKS_URL: it is no address; it looks like https://") as refused:
        read_settings()
    assert url not in str(refused.value).replace("https://issuer.example.com", "")


# --- names


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("GAPLESS_CAPP", "GAPLESS_CAP"),
        ("gapless_capp", "GAPLESS_CAP"),
        ("GAPLESS_RETENTION_SECONDS", "GAPLESS_RETENTION"),
        ("GAPLESS_ORIGIN", "GAPLESS_ORIGINS"),
        ("GAPLESS_HEART_BEAT", "GAPLESS_HEARTBEAT"),
        ("GAPLESS_JWT_SECRET_ODL", "GAPLESS_JWT_SECRET_OLD"),
        ("GAPLESS_XYZZY", None),
    ],
)
def test_a_misspelt_setting_is_named_with_the_nearest(
    name: str, nearest: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, "hunter2")
    assert read_settings().cap == 1000
    warn({name: "hunter2"})
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    meant = f"; {nearest} may be meant" if nearest else ""
    assert line == f"{name} is no setting, so it does nothing{meant}."


@pytest.mark.parametrize(
    "name",
    ["GAPLESS_CAP", "gapless_cap", "GAPLESSCAP", "CAP", "REDIS_URL", "GAPLESS_JWT_SECRET_OLD", "GAPLESS_URL"],
)
def test_what_is_a_setting_or_none_of_ours_is_not_named(name: str, caplog: pytest.LogCaptureFixture) -> None:
    warn({name: "20", "GAPLESS_EMPTY": ""})
    assert caplog.records == []


@pytest.mark.parametrize(
    "name", ["GAPLESS_JWT_SECERT", "GAPLESS_SECRET", "GAPLESS_JWK_URL", "GAPLESS_JWT_AUDIANCE", "GAPLESS_JWT_ISSUERS"]
)
def test_a_misspelt_setting_that_was_to_keep_people_out_keeps_everybody_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_PUBLIC", "true")
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(BadSetting, match=rf"^{name} is no setting.*may be meant.*who may do what") as refused:
        read_settings()
    assert "hunter2" not in str(refused.value)


def test_but_not_where_the_right_one_is_set_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_JWT_SECERT", "hunter2")
    monkeypatch.setenv("GAPLESS_JWT_SECRET", LONG)
    assert read_settings().keyed


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("REDIS_URI", "REDIS_URL"),
        ("UPSTASH_REDIS_URL", "UPSTASH_REDIS_REST_URL"),
        ("UPSTASH_REDIS_REST_TOKN", "UPSTASH_REDIS_REST_TOKEN"),
        ("KV_REST_API_ULR", "KV_REST_API_URL"),
    ],
)
def test_a_misspelt_store_is_named_where_there_is_none(
    name: str, nearest: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server would start its own, and nobody would notice before it is gone."""
    warn({name: "hunter2"})
    assert [record.getMessage() for record in caplog.records] == [
        f"{name} is no setting, so it does nothing; {nearest} may be meant."
    ]
    caplog.clear()
    warn({name: "hunter2", "REDIS_URL": "redis://localhost"})
    assert caplog.records == []


def test_what_platforms_set_beside_is_no_misspelt_store(caplog: pytest.LogCaptureFixture) -> None:
    beside = [
        "REDIS_TLS_URL",
        "REDIS_PORT",
        "REDIS_HOST",
        "KV_URL",
        "KV_REST_API_READ_ONLY_TOKEN",
        "DATABASE_URL",
        "URL",
    ]
    warn(dict.fromkeys([*beside, "UPSTASH_REDIS_REST_READONLY_TOKEN"], "x"))
    assert caplog.records == []


# --- packages


@pytest.mark.parametrize(
    ("settings", "package", "extra"),
    [
        ({"redis_url": "redis://localhost"}, "redis", r"REDIS_URL.*gapless\[redis\]"),
        ({}, "redis", r"embedded Valkey.*gapless\[embedded\]"),
        ({"jwks_url": "https://a.example/keys"}, "cryptography", r"GAPLESS_JWKS_URL.*gapless\[jwks\]"),
        ({"metrics": True}, "prometheus_client", r"GAPLESS_METRICS.*gapless\[metrics\]"),
    ],
)
def test_what_needs_a_package_that_is_not_installed_is_refused(
    settings: dict[str, Any], package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    must_work(Settings(**settings))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StartupRefused, match=rf"{extra}"):
        must_work(Settings(**settings))


def test_functions_show_no_metrics_and_need_no_package_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    must_work(Settings(metrics=True), VERCEL)


def test_what_is_not_used_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("redis", "cryptography"):
        monkeypatch.setitem(sys.modules, package, None)
    must_work(Settings(upstash_url="https://a.example", upstash_token="t", redis_url="redis://localhost"))  # type: ignore[arg-type]
