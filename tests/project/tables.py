"""The tables of a page, cell by cell."""

from __future__ import annotations

import re


def tables(text: str) -> dict[str, list[list[str]]]:
    """The cells of each table's rows, by the heading of its first column."""
    found: dict[str, list[list[str]]] = {}
    for table in re.findall(r"(?m)(?:^\|.*\|\n)+", text):
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines())
        found[head[0]] = rows
    return found
