"""The recipes of the documentation, as they stand on their page: docs/tokens.md unless another is named."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "tokens.md"


def block(language: str, mark: str, page: Path = _PAGE) -> str:
    """The one code block of this language that holds these words."""
    text = page.read_text(encoding="utf-8")
    found = [code for code in re.findall(rf"(?ms)^ *```{language}\n(.*?)^ *```", text) if mark in code]
    assert len(found) == 1, f"one block with {mark!r}"
    return str(found[0])
