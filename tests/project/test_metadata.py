"""What an index shows of the package: true as far as it goes, and with no link that leads nowhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def metadata() -> Any:
    command = [sys.executable, "-m", "hatchling", "metadata"]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_no_link_of_the_readme_needs_a_file_beside_it(metadata: Any) -> None:
    text = metadata["readme"]["text"]
    assert not [link for link in re.findall(r"\]\(([^)]+)\)", text) if not re.match("https?://|#", link)]
    assert "<!--" not in text
    assert "(`docs/deploy-vercel.md`)" in text
    assert "mermaid" not in text and "participant" not in text
    assert "1. **EventSource** to **Function B**: GET /channels/general/stream\n" in text
    assert "**Function B**: its time is over\n" in text
    assert "*The chat after its network was cut" in text and "chat.jpg" not in text
    assert metadata["readme"]["content-type"] == "text/markdown"


def test_every_file_that_it_names_instead_is_in_the_source_archive(metadata: Any) -> None:
    pyproject = (TREE / "pyproject.toml").read_text(encoding="utf-8")
    (sdist,) = re.findall(r"^\[tool\.hatch\.build\.targets\.sdist\]\ninclude = (\[.*\])", pyproject, re.M)
    named = re.findall(r"`((?:docs/|[A-Z]+\.md)[\w./-]*)`", metadata["readme"]["text"])
    assert named
    for path in named:
        assert (TREE / path).exists() and path.split("/")[0] in json.loads(sdist)


def test_people_find_it(metadata: Any) -> None:
    assert len(metadata["keywords"]) > 5
    assert "Typing :: Typed" in metadata["classifiers"]
    assert metadata["license"] == "MIT"
