"""Without what it needs, a test is skipped on a laptop and fails in CI."""

from __future__ import annotations

import pytest

from tests.testkit.need import need


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_need(ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    need("there", "never said")
    with pytest.raises(outcome, match="a star"):
        need("", "a star")
