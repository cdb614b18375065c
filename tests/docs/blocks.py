"""The code blocks of README.md, CONTRIBUTING.md and docs/, as readers see them, and how each is run.

How a block is run stands right above it, in comments that no reader sees:

    <!-- run: WORD the rest of the line -->

Each word is a function of `tests/docs/runners.py`, and exactly one of them runs the block. Shell blocks need no
comment: they are typed, and must succeed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

TREE = Path(__file__).parents[2]
_TOP = [TREE / "README.md", TREE / "CONTRIBUTING.md"]
PAGES = sorted(path.relative_to(TREE).as_posix() for path in [*_TOP, *(TREE / "docs").rglob("*.md")])

_ORDER = re.compile(r"<!-- run: ([\w-]+) ?(.*?) ?-->")


@dataclass(frozen=True)
class Block:
    """`orders`: the words above it, each with the rest of its line. `language` is empty where the fence names none."""

    page: str
    line: int
    language: str
    text: str
    orders: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """All of a page, indented ones too, from top to bottom."""
    return found_in((TREE / page).read_text(encoding="utf-8"), page)


def found_in(markdown: str, page: str = "page.md") -> list[Block]:
    """The same of a text."""
    tokens = MarkdownIt().parse(markdown)
    return [
        Block(page, token.map[0] + 1, token.info.strip(), token.content, _orders(tokens[:number]))
        for number, token in enumerate(tokens)
        if token.type in {"fence", "code_block"} and token.map
    ]


def _orders(before: Sequence[Token]) -> tuple[tuple[str, str], ...]:
    """Those of the comments that stand directly before the block, from the first to the last."""
    orders: list[tuple[str, str]] = []
    for token in reversed(before):
        if token.type != "html_block":
            break
        orders[:0] = _ORDER.findall(token.content)
    return tuple(orders)


def the(page: str, language: str, words: str) -> str:
    """The text of the one block of this language that holds these words."""
    (found,) = (block.text for block in blocks(page) if block.language == language and words in block.text)
    return found
