"""Every code block of README.md, CONTRIBUTING.md and docs/ is run, in the order of its page, in a fresh clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import PAGES, blocks, found_in
from tests.docs.runners import orders
from tests.docs.stranger import Stranger

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = {"CONTRIBUTING.md": 40, "docs/deploy-lambda.md": 30, "docs/deploy-vercel.md": 15}


def with_blocks() -> list[object]:
    """The pages that have any."""
    return [
        pytest.param(page, marks=[pytest.mark.real(seconds=SECONDS.get(page, 8)), pytest.mark.timeout(400)], id=page)
        for page in PAGES
        if blocks(page)
    ]


@pytest.mark.parametrize("page", with_blocks())
async def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    async with Stranger(page, tmp_path) as stranger:
        for block in blocks(page):
            for run, argument in orders(block):
                await run(stranger, block, argument)


def test_what_is_begun_in_the_background_is_waited_for() -> None:
    """On a fast machine a block that does not wait passes; on a reader's it may not."""
    lines = [
        line for page in PAGES for block in blocks(page) if block.language == "sh" for line in block.text.split("\n")
    ]
    following = [lines[at + 1] for at, line in enumerate(lines) if line.endswith(" &")]
    assert following and all(line.startswith("until ") for line in following)


def test_each_block_has_somebody_who_runs_it() -> None:
    assert sum(len(orders(block)) for page in PAGES for block in blocks(page)) > 30


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("```python\nprint()\n```\n", "nobody runs it"),
        ("```\nmake run\n```\n", "in a fence, with its language"),
        ("Type:\n\n    make run\n", "in a fence, with its language"),
        ("<!-- run: nonsense -->\n```sh\nmake run\n```\n", "nobody knows how to run"),
        ("<!-- run: shows a -->\n<!-- run: fails b -->\n```sh\nmake run\n```\n", "nobody runs it"),
        ("<!-- run: page -->\n\nText between.\n\n```html\n<p>\n```\n", "nobody runs it"),
    ],
)
def test_a_block_that_nobody_runs_is_found(markdown: str, words: str) -> None:
    (block,) = found_in(markdown)
    with pytest.raises(AssertionError, match=words):
        orders(block)


def test_what_stands_above_a_block_says_how_it_is_run() -> None:
    (block,) = found_in(
        "1. A.\n\n   <!-- run: after POST /a {} -->\n   <!-- run: shows x -->\n   ```sh\n   b\n   ```\n"
    )
    assert (block.language, block.text) == ("sh", "b\n")
    assert block.orders == (("after", "POST /a {}"), ("shows", "x"))
