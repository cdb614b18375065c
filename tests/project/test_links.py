"""Every link between our pages leads to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
PAGES = sorted([*TREE.glob("*.md"), *(TREE / "docs").rglob("*.md")])
_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TREE).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\((?!https?://|mailto:)([^)\s]+)\)", text):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


@cache
def headings(page: Path) -> set[str]:
    """As GitHub names them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)}


def slug(heading: str) -> str:
    """Lower case, without punctuation, with dashes for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_a_heading_is_named_as_github_does() -> None:
    assert slug("3. Live: `GET /channels/{channel}/stream`") == "3-live-get-channelschannelstream"


def test_each_page_is_in_the_index() -> None:
    index = (TREE / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (TREE / "docs").glob("*.md") if f"({page.name}" not in index] == ["README.md"]
