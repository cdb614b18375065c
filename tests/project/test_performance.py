"""The figures of docs/performance.md are those of the run that is kept, and nobody types them."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from benchmarks import plot, report

RUN = {
    "machine": {"cores": 2, "system": "Linux", "python": "3.11.7", "uvicorn": "0.54.0", "nginx": None},
    "commit": "1234567",
    "rounds": 3,
    "rows": {
        "publish, 16 publishers": {
            "gapless serve": {"us_cpu": 512.5, "per_second": 3301.0},
            "Nchan": {"us_cpu": 28.0, "per_second": 14000.4},
        },
        "catch up": {"gapless serve": {"redis_bytes": 1.08}},
    },
}


def test_the_page_shows_the_run_that_is_kept() -> None:
    page = report.PAGE.read_text()
    assert report.shown(page, json.loads(report.KEPT.read_text())) == page


def test_a_run_becomes_a_table() -> None:
    page = report.shown(f"before\n{report.OPENS}old\n{report.CLOSES}after\n", RUN)
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page
    assert "| publish, 16 publishers | µs of processor | 512 | Nchan 28 |" in page
    assert "|  | a second | 3,301 | Nchan 14,000 |" in page
    assert "| catch up | bytes from Redis for each delivered | 1.08 |  |" in page


def test_the_plot_is_one_of_what_can_be_compared() -> None:
    drawn = ElementTree.fromstring(plot.svg(RUN["rows"]))  # type: ignore[arg-type]
    told = [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "Nchan 0.05" in told
    assert not any(re.fullmatch("catch up", text) for text in told)
