"""The README as the package's metadata holds it: on an index there is no file beside it that a link could lead to.

Hatchling runs this for each build; `pyproject.toml` names it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RUN = re.compile(r"^<!-- run: .*-->\n", re.M)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|#)([^)#]+)[^)]*\)")
_SOURCE = "\nThe files named here are in the source archive.\n"


class ReadmeHook(MetadataHookInterface):
    """Sets `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """See MetadataHookInterface."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": on_an_index(text)}


def on_an_index(text: str) -> str:
    """The text without what is for tests, and with the paths of our files as text instead of links."""
    return _LINK.sub(_named, _RUN.sub("", text)) + _SOURCE


def _named(link: re.Match[str]) -> str:
    said, path = link.groups()
    return f"`{path}`" if said == path else f"{said} (`{path}`)"
