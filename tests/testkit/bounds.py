"""The table "What is bounded" of docs/security.md: its rows, the figures in them, and which test tries which figure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from gapless.config.settings import Settings
from tests.front.test_access_table import PAGE

Test = TypeVar("Test", bound=Callable[..., Any])

_WORDS = {"two": 2, "four": 4}
_UNITS = {"s": 1.0, "KiB": 1024, "MiB": 1_048_576}
_FIGURE = re.compile(rf"GAPLESS_[A-Z_]+|\d[\d,]*(?:\.\d+)?(?: (?:{'|'.join(_UNITS)})\b)?|\b(?:{'|'.join(_WORDS)})\b")


def read_bounds() -> dict[str, set[str]]:
    """The figures of each row, as they are written: `30 s`, `64 KiB`, `10,000`, `GAPLESS_CAP`."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## What is bounded\n")[2].partition("\n#")[0]
    rows = [line.strip("| ").split(" | ", 1) for line in section.splitlines() if line.startswith("| ")]
    return {what: set(_FIGURE.findall(bound)) for what, bound in rows[1:]}


BOUNDS = read_bounds()
TRIED: dict[str, dict[str, list[str]]] = {}
"""The tests of each figure of each row. What has no figure stands under an empty text."""


def worth(figure: str) -> float:
    """A figure as a number, in bytes or seconds; for the name of a setting its default."""
    if figure.startswith("GAPLESS_"):
        default: float = Settings.model_fields[figure.removeprefix("GAPLESS_").lower()].default
        return default
    if figure in _WORDS:
        return _WORDS[figure]
    number, _, unit = figure.replace(",", "").partition(" ")
    return (float(number) if "." in number else int(number)) * _UNITS.get(unit, 1)


def tries(row: str, *figures: str) -> Callable[[Test], Test]:
    """Marks a test that tries these figures of a row. It gets what they are worth, in the same order, as `told`."""

    def register(test: Test) -> Test:
        _note(row, figures, test)
        return pytest.mark.parametrize("told", [tuple(map(worth, figures))], ids=[row])(test)  # type: ignore[no-any-return]

    return register


def tried_elsewhere(row: str, figures: dict[str, float], *tests: Callable[..., Any]) -> None:
    """Says which tests try a row that is dear to try, and by which numbers of the code; those must be what it says."""
    for test in tests:
        _note(row, figures, test)
    ELSEWHERE.append((row, figures))


ELSEWHERE: list[tuple[str, dict[str, float]]] = []


def _note(row: str, figures: Any, test: Callable[..., Any]) -> None:
    for figure in figures or [""]:
        TRIED.setdefault(row, {}).setdefault(figure, []).append(f"{test.__module__}.{test.__name__}")
