"""What the environment says, or which variable to put right, and never a secret."""

from __future__ import annotations

import pytest

from app.startup import BadSetting, read_settings


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
