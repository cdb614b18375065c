"""The tree of errors: what the routes and the feed rely on when they catch a branch of it."""

from __future__ import annotations

import pytest

from gapless.log import errors


def refusals() -> list[type[errors.Refused]]:
    return errors.Refused.__subclasses__()


def test_every_refusal_has_a_status_and_a_title_of_its_own() -> None:
    assert len({kind.status for kind in refusals()}) == len({kind.title for kind in refusals()}) == len(refusals())
    assert {kind for kind in refusals() if not 400 <= kind.status < 500} == {errors.CannotSignal}, (
        "501: no client's fault"
    )


@pytest.mark.parametrize("kind", [kind for kind in refusals() if kind is not errors.TooMany])
def test_a_refusal_says_what_to_change(kind: type[errors.Refused]) -> None:
    error = kind("Send less.", limit=3)
    assert (error.detail, str(error), error.extra) == ("Send less.", "Send less.", {"limit": 3})


def test_too_many_says_when_to_come_back() -> None:
    error = errors.TooMany("Wait.", 1.5, retryAfterMs=1500)
    assert (error.retry_after, error.extra) == (1.5, {"retryAfterMs": 1500})


def test_a_store_that_does_not_answer_says_whether_it_may_have_written() -> None:
    assert not errors.StoreUnavailable("gone").outcome_unknown
    assert errors.StoreUnavailable("gone", outcome_unknown=True).outcome_unknown


def test_a_foreign_log_is_handled_wherever_a_silent_store_is() -> None:
    assert issubclass(errors.CorruptLog, errors.StoreUnavailable)
    assert not issubclass(errors.StoreUnavailable, errors.Refused)


def test_whatever_is_raised_on_purpose_is_of_one_tree() -> None:
    raised = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert errors.CorruptLog in raised
    assert all(issubclass(kind, errors.GaplessError) for kind in raised)
