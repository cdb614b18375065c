"""The checker, on any correct history, and on each made wrong in one thing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import zip_longest
from random import Random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.testkit.checker import check
from tests.testkit.checker_world import World
from tests.testkit.example_histories import ANY
from tests.testkit.reader_log import Gap, Message, ReaderLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testkit.checker_findings import Kind


OPS = ["publish"] * 8 + ["read"] * 4 + ["cut", "cut", "join", "trim", "wipe", "fail_over"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A correct run over one to three channels, with its final logs or without."""
    names = ("a", "b", "c")[: draw(st.integers(1, 3))]
    dice = Random(draw(st.integers(0, 2**32)))
    world = World(names, with_log=draw(st.booleans()), dice=dice)
    world.publish(names[0])
    world.join()
    for op in draw(st.lists(st.sampled_from(OPS), min_size=5, max_size=60)):
        if op in {"read", "cut"}:
            who = dice.choice(world.readers)
            world.read(who, dice.randrange(1, 6)) if op == "read" else world.cut(who)
        elif op == "join":
            world.join()
        else:
            getattr(world, op)(dice.choice(names))
    for name in names:
        world.publish(name)
    world.finish()
    return world


laws = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@laws
@given(worlds())
def test_nothing_is_found_in_a_correct_history(world: World) -> None:
    verdict = check(world.history, ANY)
    assert not verdict.findings, str(verdict)


Site = tuple[ReaderLog, int]
Spoil = tuple[str, "Callable[[], object]", set["Kind"]]


def own_events(log: ReaderLog, channel: str) -> list[int]:
    """Where this reader's messages and gaps of one channel are."""
    return [i for i, e in enumerate(log.events) if isinstance(e, Message | Gap) and e.channel == channel]


def spoils(world: World) -> list[Spoil]:
    """Every way to make this history wrong that must be noticed, and as what."""
    found: list[Spoil] = []
    heads = {name: log.entries[-1].place.id if log.entries else None for name, log in world.logs.items()}
    for log in world.history.readers.values():
        for channel in log.channels:
            mine = own_events(log, channel)
            for here, after in zip_longest(mine, mine[1:]):
                now, then = log.events[here], None if after is None else log.events[after]
                if isinstance(now, Gap):
                    found += spoiled_gaps(log, here, now, then)
                elif isinstance(now, Message):
                    found += spoiled_messages(world, log, here, now, after)
                    if then is None and now.id == heads[channel]:
                        found.append(("drop the last", partial(log.events.pop, here), {"lost"}))
    return found + spoiled_logs(world)


def spoiled_messages(world: World, log: ReaderLog, here: int, now: Message, after: int | None) -> list[Spoil]:
    events = log.events
    found: list[Spoil] = [
        ("double", lambda: events.insert(here + 1, now), {"doubled"}),
        ("alter content", lambda: events.__setitem__(here, replace(now, content_key="altered")), {"forged"}),
    ]
    same = [p for p in world.history.published if (p.channel, p.content_key) == (now.channel, now.content_key)]
    # Under another id an answered message might as well be an unanswered attempt of the same content.
    if any(p.id == now.id for p in same) and all(p.outcome != "unknown" for p in same):
        found.append(("alter id", lambda: events.__setitem__(here, replace(now, id=now.id[:-4] + "zzzz")), {"forged"}))
    then = None if after is None else events[after]
    if after is not None and isinstance(then, Message):

        def swap() -> None:
            events[here], events[after] = events[after], events[here]

        found.append(("drop", lambda: events.pop(here), {"lost"}))
        found.append(("swap", swap, {"reordered"}))
        logged = {entry.place.id for entry in world.logs[now.channel].entries}
        if {now.id, then.id} <= logged:
            trimmed = Gap(now.channel, "trimmed", 1, then.id, then.id, None)
            reset = Gap(now.channel, "reset", None, then.id, then.id, None)
            found.append(("invent trimmed", lambda: events.insert(after, trimmed), {"gap"}))
            found.append(("invent reset", lambda: events.insert(after, reset), {"gap"}))
    elif isinstance(then, Gap) and then.reason == "trimmed":
        found.append(("drop before trimmed", lambda: events.pop(here), {"gap"}))
    return found


def spoiled_gaps(log: ReaderLog, here: int, now: Gap, then: object) -> list[Spoil]:
    events = log.events
    more = 1 if now.missed is None else now.missed + 1
    found: list[Spoil] = [
        ("alter missed", lambda: events.__setitem__(here, replace(now, missed=more)), {"gap"}),
    ]
    if isinstance(then, Message):
        kinds: set[Kind] = {"lost"} if now.reason == "trimmed" else {"gap", "lost", "doubled", "reordered"}
        found.append(("drop the gap", lambda: events.pop(here), kinds))
    return found


def spoiled_logs(world: World) -> list[Spoil]:
    history = world.history
    found: list[Spoil] = []
    answered = {p.id for p in history.published}
    for name, log in history.logs.items():
        for number, entry in enumerate(log[1:], 1):
            if entry.id in answered:
                without = log[:number] + log[number + 1 :]
                found.append(("lose it", partial(history.final_log, name, without), {"missing"}))
    return found


@laws
@given(worlds(), st.data())
def test_one_thing_made_wrong_is_noticed(world: World, data: st.DataObject) -> None:
    found = spoils(world)
    assume(found)
    names = sorted({name for name, _, _ in found})
    name = data.draw(st.sampled_from(names))
    _, spoil, expected = data.draw(st.sampled_from([s for s in found if s[0] == name]))
    spoil()
    verdict = check(world.history, ANY)
    assert expected & {finding.kind for finding in verdict.findings}, (name, str(verdict))
    assert all(verdict.story(finding) for finding in verdict.findings)
