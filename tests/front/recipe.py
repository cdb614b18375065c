"""The recipes of docs/tokens.md, as they stand on the page."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "tokens.md"


def block(language: str, mark: str) -> str:
    """The one code block of this language that holds these words."""
    page = _PAGE.read_text(encoding="utf-8")
    found = [code for code in re.findall(rf"(?ms)^ *```{language}\n(.*?)^ *```", page) if mark in code]
    assert len(found) == 1, f"one block with {mark!r}"
    return str(found[0])
