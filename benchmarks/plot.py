"""A plot of the table, as SVG: one bar for each contender of each row, as a multiple of Gapless. Pure."""

from __future__ import annotations

from html import escape

FIGURES = ("us_cpu", "kib", "redis_bytes")
"""Of each of these one panel; less is better."""
TITLES = {"us_cpu": "processor time", "kib": "memory", "redis_bytes": "bytes from Redis"}
BAR, LEFT, WIDTH, MOST = 14, 330, 900, 4.0
Rows = dict[str, dict[str, dict[str, float]]]


def svg(rows: Rows) -> str:
    """The whole plot."""
    parts, y = [], 10
    for figure in FIGURES:
        part, y = _panel(rows, figure, y)
        parts += part
    style = "text{font:11px sans-serif}.title{font-weight:bold}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}"><style>{style}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])


def _panel(rows: Rows, figure: str, y: int) -> tuple[list[str], int]:
    """One figure of every row that has it, and where it ends."""
    parts = [_text(10, y + 12, f"{TITLES[figure]}, as a multiple of Gapless (less is better)", "title")]
    y += 2 * BAR
    for name, found in rows.items():
        told = {who: figures[figure] for who, figures in found.items() if figures.get(figure)}
        if len(told) < 2:
            continue
        ours = next(iter(told.values()))
        for number, (who, value) in enumerate(told.items()):
            parts += _bar(y, name if number == 0 else "", who, value / ours)
            y += BAR
        y += BAR // 2
    return parts, y + BAR


def _bar(y: int, name: str, who: str, times: float) -> list[str]:
    width = min(times, MOST) / MOST * (WIDTH - LEFT - 180)
    colour = "#2a6" if times == 1 else "#89a"
    label = f"{who} {times:.2f}" + ("" if times <= MOST else " (cut off)")
    return [
        _text(10, y + 11, name),
        f'<rect x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="{BAR - 3}" fill="{colour}"/>',
        _text(round(LEFT + width + 6), y + 11, label),
    ]


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(text)}</text>'
