"""`.env.example` names every setting, with the default it has, and none that does not exist."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from pydantic import AliasChoices

from gapless.config.settings import Settings

EXAMPLE = Path(__file__).parent.parent.parent / ".env.example"
OF_THE_COMMAND = {"HOST": "127.0.0.1", "PORT": "8000"}
"""What `gapless serve` reads by itself, with its defaults."""

LINE = re.compile(r"#([A-Z_]+)=(.*)")


def examples() -> dict[str, str]:
    matches = (LINE.fullmatch(line) for line in EXAMPLE.read_text().splitlines())
    return {match[1]: match[2] for match in matches if match}


def variables(field: str) -> list[str]:
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias or f"GAPLESS_{field}".upper())]


def test_it_names_every_setting_and_no_other() -> None:
    real = [name for field in Settings.model_fields for name in variables(field)]
    assert sorted(examples()) == sorted([*real, *OF_THE_COMMAND])


@pytest.mark.parametrize("field", Settings.model_fields)
def test_each_default_is_the_real_one(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = getattr(Settings(), field)
    for name in variables(field):
        value = examples()[name]
        assert bool(value) == (default not in (None, ())), f"{name}: a default is shown if there is one"
        monkeypatch.setenv(name, value)
    assert getattr(Settings(), field) == default


def test_the_commands_defaults_are_shown() -> None:
    assert examples().items() >= OF_THE_COMMAND.items()


def test_each_setting_or_pair_has_its_meaning_above_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for above, line in itertools.pairwise(lines):
        if LINE.fullmatch(line):
            assert above.startswith(("# ", "#KV_REST_API_URL")), f"no meaning stands above {line}"
