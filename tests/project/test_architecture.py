"""docs/architecture.md and the other documents speak of the tree as it is."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
PAGE = TREE / "docs" / "architecture.md"
DOCUMENTS = sorted([*TREE.glob("*.md"), *(TREE / "docs").rglob("*.md")])
_PATH = re.compile(r"`((?:app/gapless|tests|docs|deploy|requirements|benchmarks|\.ci)/[\w./-]*)[`:]")


def rooms_of(text: str) -> list[set[str]]:
    """The levels of the contract `rooms`, from the top down."""
    parser = ConfigParser()
    parser.read_string(text)
    layers = parser["importlinter:contract:rooms"]["layers"].split("\n")
    return [{name.strip() for name in layer.split("|")} for layer in layers if layer.strip()]


LEVELS = rooms_of((TREE / ".importlinter").read_text(encoding="utf-8"))


def test_the_table_lists_the_rooms_in_the_order_of_imports() -> None:
    told = re.findall(r"^\| (`[^|]*`) \|", PAGE.read_text(encoding="utf-8"), re.M)
    rows = [{name.removesuffix(".py").rstrip("/") for name in re.findall(r"`([^`]+)`", row)} for row in told]
    in_order = [room for row in rows for room in LEVELS if row & room]
    assert [sorted(room) for room in dict.fromkeys(map(frozenset, in_order))] == [sorted(level) for level in LEVELS]
    assert {name for row in rows for name in row} >= {name for level in LEVELS for name in level}


def test_the_picture_shows_every_room() -> None:
    picture = PAGE.read_text(encoding="utf-8").split("```mermaid\n")[1].split("```")[0]
    assert not [name for level in LEVELS for name in level if not re.search(rf"\b{name}\b", picture)]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.relative_to(TREE).as_posix())
def test_every_path_that_a_document_names_is_there(page: Path) -> None:
    named = set(_PATH.findall(page.read_text(encoding="utf-8")))
    assert not [path for path in sorted(named) if not (TREE / path).exists()]


def test_what_the_table_says_to_read_first_is_there() -> None:
    first = re.findall(r"\| `([\w/]+\.\w+)`[^|]*\|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert len(first) >= len(LEVELS)
    assert not [path for path in first if not (TREE / "app" / "gapless" / path).exists()]
