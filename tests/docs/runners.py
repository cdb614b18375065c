"""The words that may stand above a block, and what is done at each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs import browsed, contained, deployed, recipes, scraped, typed, wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.docs.blocks import Block
    from tests.docs.stranger import Stranger

    Run = Callable[[Stranger, Block, str], Awaitable[None]]


async def drawing(stranger: Stranger, block: Block, argument: str) -> None:
    """For the eye only."""
    assert block.language in {"text", "mermaid"}


RUNS: dict[str, Run] = {
    "typed": typed.typed,
    "shows": typed.shows,
    "fails": typed.fails,
    "until": typed.until,
    "answers": wire.answers,
    "streams": wire.streams,
    "page": browsed.page,
    "component": browsed.component,
    "composable": browsed.composable,
    "module": browsed.module,
    "token-page": browsed.token_page,
    "ticket-page": browsed.ticket_page,
    "claims": recipes.claims,
    "token-in-python": recipes.token_in_python,
    "token-in-next": recipes.token_in_next,
    "publishing": recipes.publishing,
    "reading": recipes.reading,
    "dotenv": deployed.dotenv,
    "builds-for": deployed.builds_for,
    "rest-event": deployed.rest_event,
    "image": deployed.image,
    "rewrite": deployed.rewrite,
    "installs": deployed.installs,
    "compose": contained.compose,
    "nginx": contained.nginx,
    "for-a-person": deployed.documented_options,
    "acl": wire.acl,
    "scrapes": scraped.scrapes,
    "drawing": drawing,
}
"""Each of these runs the block: it has exactly one of them."""

AROUND: dict[str, Run] = {
    "after": wire.after,
    "elsewhere": typed.elsewhere,
    "on-lambda": deployed.on_lambda,
    "on-vercel": deployed.on_vercel,
    "documented-options": deployed.documented_options,
}
"""These prepare it or look around afterwards, in the order in which they stand."""


def orders(block: Block) -> list[tuple[Run, str]]:
    """What is done with a block, in order; AssertionError where nobody runs it, or two would."""
    given = block.orders
    if block.language == "sh" and not any(word in RUNS for word, _ in given):
        given = (*given, ("typed", ""))
    assert block.language, f"{block}: a block stands in a fence, with its language"
    unknown = [word for word, _ in given if word not in RUNS and word not in AROUND]
    assert not unknown, f"{block}: nobody knows how to run {unknown}"
    running = [word for word, _ in given if word in RUNS]
    assert len(running) == 1, f"{block}: nobody runs it; say above it how (tests/docs/blocks.py), in one of {[*RUNS]}"
    return [((RUNS | AROUND)[word], argument) for word, argument in given]
