"""The names and digests by which a repeated message is known: nobody's text can pass for another's."""

from __future__ import annotations

from itertools import combinations

from hypothesis import example, given
from hypothesis import strategies as st

from gapless.log.cursor import Position
from gapless.log.entries import Draft
from gapless.log.publication import MOST_ATTEMPTS, IdempotencyKey, Publication
from tests.testkit import strategies as some

senders = st.none() | some.texts.filter(bool)


def publication(*drafts: Draft, key: str | None = None) -> Publication:
    return Publication("c", drafts, tuple("aaaa" for _ in drafts), "t9x2k0ab", 0, key)


def draft(local_id: str | None, user: str | None = None, digest: str = "d" * 32) -> Draft:
    return Draft(b"{}", digest, user, local_id)


def only(one: Publication) -> IdempotencyKey:
    (key,) = one.keys()
    return key


@given(senders, some.texts, senders, some.texts)
@example("1", "2", "12", "")
@example(None, "uann", "ann", "")
@example("a:b", "c", "a", "b:c")
@example("ann", "1", "ann1", "")
def test_a_key_belongs_to_its_user(user: str | None, text: str, other: str | None, more: str) -> None:
    mine, theirs = only(publication(draft(text, user))), only(publication(draft(more, other)))
    assert (mine.name == theirs.name) == ((user, text) == (other, more))


@given(senders, some.texts)
def test_a_name_is_short_and_plain_whatever_it_is_made_of(user: str | None, text: str) -> None:
    key = only(publication(draft(text, user)))
    assert len(key.name) == 32
    assert set(key.name) <= set("0123456789abcdef")


@given(senders, some.texts)
def test_the_key_of_a_batch_is_no_messages_key(user: str | None, text: str) -> None:
    whole, part = publication(draft(text, user), draft(None, user), key=text).keys()
    assert whole.name != part.name
    assert whole.name == publication(draft(None, user), key=text).keys()[0].name


def test_the_key_of_a_batch_stands_for_all_its_messages() -> None:
    whole, second = publication(draft(None), draft("b"), draft(None), key="k").keys()
    assert (whole.first, whole.count) == (1, 3)
    assert (second.first, second.count) == (2, 1)


@given(st.lists(st.text("ab", min_size=32, max_size=32), min_size=1, max_size=4, unique=True))
def test_the_digest_of_a_batch_tells_contents_and_their_order_apart(digests: list[str]) -> None:
    drafts = [draft(None, digest=digest) for digest in digests]
    batches = [drafts[:count] for count in range(1, len(drafts) + 1)] + ([drafts[::-1]] if len(drafts) > 1 else [])
    keys = [publication(*batch, key="k").keys()[0] for batch in batches]
    assert all(a.digest != b.digest for a, b in combinations(keys, 2))
    assert {len(key.digest) for key in keys} == {32}


@given(st.lists(st.none() | some.texts, min_size=1, max_size=5), st.none() | some.texts)
def test_only_what_has_a_key_throughout_may_be_sent_again(ids: list[str | None], key: str | None) -> None:
    one = publication(*map(draft, ids), key=key)
    assert one.repeatable == (key is not None or None not in ids)
    keys = one.keys()
    assert len(keys) == (key is not None) + sum(text is not None for text in ids)
    covered = {number for held in keys for number in range(held.first, held.first + held.count)}
    assert one.repeatable == (covered == set(range(1, len(ids) + 1)))


@given(st.lists(some.marks, min_size=1, max_size=3), some.marks)
def test_each_attempt_has_marks_of_its_own_and_all_are_its_own(marks: list[str], foreign: str) -> None:
    one = publication(*(draft(None) for _ in marks))._replace(marks=tuple(marks))
    sent = [one]
    while len(sent) < MOST_ATTEMPTS:
        sent.append(sent[-1].again())
    for index in range(len(marks)):
        assert len({each.marks[index] for each in sent}) == MOST_ATTEMPTS
    ids = [[Position("t9x2k0ab", seq, mark) for seq, mark in enumerate(each.marks, 1)] for each in sent]
    assert all(one.owns(each) for each in ids)
    assert {len(mark) for each in sent for mark in each.marks} == {4}
    assert one.owns([Position("t9x2k0ab", 1, foreign)]) == ((foreign,) in {each.marks for each in sent})
