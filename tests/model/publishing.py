"""What publishers do: new messages, repeats of all kinds, and each answer held against the truth."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from gapless.api.schemas import Message
from tests.model.clients import ask
from tests.model.follower import seen
from tests.model.life import Life, channels, names, services
from tests.model.truth import CAP, IdempotencyKey, Truth

users = st.sampled_from([None, "ann"])
data = st.integers(0, 2)


class Publishing(Life):
    """Through either service."""

    @rule(number=channels, user=users, value=data, name=st.none() | names, where=services)
    def post(self, number: int, user: str | None, value: int, name: str | None, where: int) -> None:
        """One message, maybe under a localId: a new one, the same again, or the same with other content."""
        message = Message(data=value, user=user, localId=name)
        keys = [("one", user, name)] if name else []
        self.run(self._publish(self.truths[number], [message], keys, where, batch=False))

    @rule(number=channels, count=st.integers(1, CAP), where=services)
    def post_batch(self, number: int, count: int, where: int) -> None:
        """Many, so that the log is trimmed."""
        messages = [Message(data=f"one of {count}") for _ in range(count)]
        self.run(self._publish(self.truths[number], messages, [], where))

    @rule(number=channels, where=services)
    def flood(self, number: int, where: int) -> None:
        """So much that nothing is kept of what was there."""
        for _ in range(3):
            self.post_batch(number, CAP // 2, where)

    @rule(number=channels, picked=st.lists(names, min_size=1, max_size=3, unique=True), value=data, where=services)
    def post_named_batch(self, number: int, picked: list[str], value: int, where: int) -> None:
        """Each under its own localId: all new, all known, or some of them."""
        messages = [Message(data=value, localId=name) for name in picked]
        self.run(self._publish(self.truths[number], messages, [("one", None, name) for name in picked], where))

    @rule(number=channels, name=names, count=st.integers(1, 2), where=services)
    def post_batch_under_a_key(self, number: int, name: str, count: int, where: int) -> None:
        """One key for all."""
        messages = [Message(data="together") for _ in range(count)]
        self.run(self._publish(self.truths[number], messages, [("batch", None, name)], where, header=name))

    async def _publish(
        self,
        truth: Truth,
        messages: list[Message],
        keys: list[IdempotencyKey],
        where: int,
        *,
        batch: bool = True,
        header: str | None = None,
    ) -> None:
        if truth.strict and truth.dead and not truth.log:
            await self.place.pause(0.03)  # more than a second, on virtual time
        bodies = [message.model_dump(exclude_none=True) for message in messages]
        contents = [tuple(map(repr, messages))] if header else [(repr(message),) for message in messages]
        status, ids = truth.expect(keys, contents)
        headers = {"Idempotency-Key": header} if header else {}
        path = f"/channels/{truth.channel}/messages"
        reply = await ask(self.place.apps[where], "POST", path, json=bodies if batch else bodies[0], headers=headers)
        assert reply.status_code == status, (reply.text, truth.keys)
        seen[f"published {status}"] += 1
        if status == 409:
            return
        told = reply.json() if batch else [reply.json()]
        got = [one["id"] for one in told]
        if status == 200:
            assert got == ids
            return
        added = truth.append(got, [message.draft(message.user).body for message in messages])
        for index, key in enumerate(keys):
            truth.keys[key] = contents[index], got if header else [got[index]]
        cut = await self.store.slice(truth.channel, added[-1].position.seq, added[-1].position.seq)
        assert cut.oldest is not None
        truth.trim(added[-1].position.seq - cut.oldest.position.seq + 1)
        self.late.append((truth, added))
