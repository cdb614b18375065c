"""The README as the package's metadata holds it: on an index there is no file beside it that a link could lead to.

Hatchling runs this for each build; `pyproject.toml` names it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RUN = re.compile(r"^<!-- run: .*-->\n", re.M)
_PICTURE = re.compile(r"^!\[([^\]]*)\]\((?!https?://)[^)]*\)", re.M)
_DRAWING = re.compile(r"^```mermaid\nsequenceDiagram\n(.*?)^```\n", re.M | re.S)
_WHO = re.compile(r"^ +participant (\w+) as (.+)$", re.M)
_STEP = re.compile(r"^ +(\w+)-?->>(\w+): (.+)$|^ +Note over (\w+): (.+)$", re.M)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|#)([^)#]+)[^)]*\)")
_SOURCE = "\nThe files named here are in the source archive.\n"


class ReadmeHook(MetadataHookInterface):
    """Sets `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """See MetadataHookInterface."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": on_an_index(text)}


def on_an_index(text: str) -> str:
    """The text without what is for tests; paths of our files instead of links, and words instead of pictures."""
    for pattern, instead in ((_RUN, ""), (_PICTURE, r"*\1.*"), (_DRAWING, _told), (_LINK, _named)):
        text = pattern.sub(instead, text)
    return text + _SOURCE


def _told(drawing: re.Match[str]) -> str:
    """The arrows of a drawing as a numbered list: an index draws none."""
    who = dict(_WHO.findall(drawing[1]))
    steps = [
        f"**{who[left or over]}**{f' to **{who[right]}**' if right else ''}: {said or noted}"
        for left, right, said, over, noted in _STEP.findall(drawing[1])
    ]
    return "".join(f"{number}. {step}\n" for number, step in enumerate(steps, 1))


def _named(link: re.Match[str]) -> str:
    said, path = link.groups()
    return f"`{path}`" if said == path else f"{said} (`{path}`)"
