"""Every store, as the service runs on it, against a small model. `--hypothesis-profile=thorough` for a long look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.around import seen as around
from tests.model.follower import seen
from tests.model.machine import Machine
from tests.model.places import KINDS, open_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.model.places import Place

pytestmark = [pytest.mark.real(seconds=10), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(request.param, tmp_path_factory.mktemp("model")) as place:
        yield place


def on(place: Place) -> type[Machine]:
    return type("History", (Machine,), {"place": place})


def test_any_history(place: Place) -> None:
    """Far fewer where time is real; and a failure is told as it was found there: to make it smaller takes minutes."""
    examples = settings().max_examples
    how = settings(
        max_examples=max(2, examples // (2 if place.virtual else 6)),
        stateful_step_count=30,
        suppress_health_check=list(HealthCheck),
        phases=tuple(Phase) if place.virtual else (Phase.explicit, Phase.reuse, Phase.generate),
    )
    run_state_machine_as_test(on(place), settings=how)


def test_everything_occurs_in_one_history(place: Place) -> None:
    """So that nobody takes the laws for kept where nothing has happened."""
    seen.clear()
    around.clear()
    history = on(place)()
    try:
        for begin in ("", "history=3", "after"):
            history.join([0, 1], 0, begin)
        history.join([0], 1, "", "bob")
        for user, value in ((None, 1), (None, 1), (None, 2), ("ann", 1)):
            history.post(0, user, value, "a", 0)
        history.post_named_batch(1, ["a", "b"], 1, 0)
        history.post_named_batch(1, ["b", "c"], 1, 1)
        history.post_batch_under_a_key(0, "a", 2, 0)
        history.post_batch_under_a_key(0, "a", 2, 1)
        for number in (0, 1):
            history.turn(number)
            history.poll(number, 0, 0, 5)
        history.settle()
        history.cut_or_come_back(0, 0)
        history.flood(0, 0)
        history.look(0, 30, 20)
        history.look_back(0, 1, 1, 5)
        history.pause(0.4)
        history.cut_or_come_back(0, 1)
        history.settle()
        for number, untold in ((0, 5), (1, 0), (0, 1)):
            history.fail_over(number, 2, 3, untold)
            history.settle()
        for pick in (5, 3, 9):
            history.receipt(0, "eve", "read", pick, pick % 2)
            history.signal(0, pick % 2)
        history.silence(0)
        history.settle()
        history.tell_late(0)
        history.tell_foreign(0, 0, 2)
        history.settle()
        history.forget(0)
        history.wipe(1)
        history.settle()
        history.post(0, None, 1, "a", 0)
    finally:
        history.teardown()
    assert not [what for what in ("signal", "receipt", "presence") if not around[what]], around
    rare = ("gap trimmed", "gap reset", "gap unknown", "published 200", "published 201", "published 409")
    assert not [what for what in rare if not seen[what]], seen
    assert seen["message"] >= 200, seen
