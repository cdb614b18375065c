"""The sum of what was found."""

from __future__ import annotations

from gapless.cli.doctor.finding import fail, failing, note, ok, skip, verdict


def test_only_what_fails_spoils_the_verdict() -> None:
    fine = [ok("a", "x", milliseconds=3), note("b", "x"), skip("c", "x")]
    wrong = fail("d", "x", "do this")
    assert (verdict(fine), failing(fine)) == ("All good.", [])
    assert (verdict([*fine, wrong]), failing([*fine, wrong])) == ("1 of 4 checks fail: d.", [wrong])


def test_for_programs_it_has_figures_and_what_to_change() -> None:
    assert ok("a", "x", milliseconds=3).told() == {"check": "a", "state": "ok", "said": "x", "milliseconds": 3}
    assert fail("d", "x", "do this").told()["change"] == "do this"
